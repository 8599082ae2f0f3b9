package guardian

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// maxEnvFile bounds an env_file, in bytes: what the kernel takes as a whole environment is not much more.
const maxEnvFile = 1 << 20

// readEnvFile reads the variables of a file, as NAME=VALUE in their order. What is in the file is a secret: no error says
// anything of it but the number of a line.
func readEnvFile(path string) ([]string, error) {
	text, err := readRegular(path, maxEnvFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("env_file %s does not exist on this node; create it, or pin the child to a node that has it", path)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("env_file %s cannot be read by this process's user; change its owner or its mode", path)
	case err != nil:
		return nil, fmt.Errorf("env_file %s: %w", path, err)
	}
	env, err := parseEnv(text)
	if err != nil {
		return nil, fmt.Errorf("env_file %s, %w", path, err)
	}
	return env, nil
}

// readRegular reads a file whole. It waits for no writer of a pipe, and takes nothing that has no end.
func readRegular(path string, most int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Unwrap(err) // without the path, which the caller names
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("this is not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("it is larger than %d bytes", most)
	}
	return text, nil
}

// parseEnv reads the lines of an environment file. One is NAME=VALUE, blank, or a comment with # or ; in front. White space around a
// value is no part of it; a value in quotes is what is between them, which may be several lines. In double quotes a
// backslash takes the meaning from a following ", \, $ or `; nothing else is special, and nothing is expanded.
func parseEnv(text []byte) (env []string, err error) {
	p := envText{rest: bytes.TrimPrefix(text, []byte("\ufeff")), line: 1}
	for len(p.rest) > 0 {
		at := p.line
		entry, why := p.entry()
		if why != "" {
			return nil, fmt.Errorf("line %d: %s", at, why)
		}
		if entry != "" {
			env = append(env, entry)
		}
	}
	return env, nil
}

// blank is the white space that is no part of a value.
const blank = " \t\v\f\r"

// envText is what is left of an environment file.
type envText struct {
	rest []byte
	line int // of the first of rest
}

// entry takes what is on the next line; an empty one when that sets nothing. why says what is wrong with it.
func (p *envText) entry() (entry, why string) {
	line := p.take(lineEnd(p.rest))
	if bytes.IndexByte(line, 0) >= 0 {
		return "", "it has a NUL byte in it"
	}
	line = bytes.TrimLeft(line, blank)
	if len(line) == 0 || line[0] == '#' || line[0] == ';' {
		return "", ""
	}
	before, value, found := bytes.Cut(line, []byte("="))
	name := string(bytes.TrimRight(before, blank))
	switch {
	case !found:
		return "", "it has no =; write NAME=VALUE"
	case !isEnvName(name):
		return "", "what is before the = is not the name of a variable (letters, digits and _, not a digit first); write NAME=VALUE"
	case slices.Contains(sup.ReservedEnv, name):
		return "", name + " is set by supnode; use another name"
	}
	value = bytes.TrimLeft(value, blank)
	if len(value) == 0 || value[0] != '\'' && value[0] != '"' {
		return name + "=" + string(bytes.TrimRight(value, blank)), ""
	}
	text, why := p.quoted(value)
	return name + "=" + text, why
}

// quoted reads a value in quotes, of which opened is the first line.
func (p *envText) quoted(opened []byte) (value, why string) {
	quote := opened[0]
	var b strings.Builder
	for line := opened[1:]; ; {
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case c == quote:
				if len(bytes.TrimLeft(line[i+1:], blank)) > 0 {
					return "", "something follows the closing quote"
				}
				return b.String(), ""
			case c == '\\' && quote == '"' && i+1 < len(line) && strings.IndexByte("\"\\$`", line[i+1]) >= 0:
				i++
				b.WriteByte(line[i])
			default:
				b.WriteByte(c)
			}
		}
		if len(p.rest) == 0 {
			return "", "the quote that opens its value is not closed"
		}
		b.WriteByte('\n')
		if line = p.take(lineEnd(p.rest)); bytes.IndexByte(line, 0) >= 0 {
			return "", "its value has a NUL byte in it"
		}
	}
}

// take takes n bytes off, and gives them without their line's end.
func (p *envText) take(n int) []byte {
	line := p.rest[:n]
	p.rest, p.line = p.rest[n:], p.line+1
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// lineEnd is where the next line begins.
func lineEnd(text []byte) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

func isEnvName(name string) bool {
	for i, c := range []byte(name) {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
