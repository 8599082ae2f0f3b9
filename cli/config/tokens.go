package config

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/supnode/supnode/admin"
	"github.com/supnode/supnode/cli/yamlfile"
)

// shortToken is the length below which a token could be guessed, in bytes; `supnode token new` makes longer ones.
const shortToken = 16

// tokenEntry is one token of a tokens file.
type tokenEntry struct {
	Token  string `yaml:"token"`
	SHA256 string `yaml:"sha256"`
	Role   string `yaml:"role"`
	Name   string `yaml:"name"`
}

// LoadTokens reads a tokens file: a YAML list of {token or sha256, role, name}. The warnings are what it allows though
// it is dangerous. What is wrong with its content is a yamlfile.Errors.
func LoadTokens(name string) (list []admin.Token, warnings []string, err error) {
	src, err := yamlfile.Read(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the tokens file: %w", err)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the tokens file: %w", err)
	}
	f, err := yamlfile.Parse(name, src)
	if err != nil {
		return nil, nil, err
	}
	var entries []tokenEntry
	if err := f.Decode(&entries); err != nil {
		return nil, nil, err
	}
	if len(entries) == 0 {
		return nil, nil, yamlfile.Errors{f.Errorf("", "there is no token in this file: write a list of {sha256, role, name}; `supnode token new` makes one")}
	}
	seen := map[[32]byte]int{}
	plain := false
	for i, e := range entries {
		token, wrong := e.parse(f, i)
		if wrong != nil {
			return nil, nil, yamlfile.Errors{wrong}
		}
		if other, twice := seen[token.Digest]; twice {
			return nil, nil, yamlfile.Errors{f.Errorf(fmt.Sprintf("[%d]", i), "this is the token of entry %d again", other+1)}
		}
		seen[token.Digest] = i
		list = append(list, token)
		if e.Token == "" {
			continue
		}
		plain = true
		if len(e.Token) < shortToken {
			warnings = append(warnings, fmt.Sprintf("%s: the token %q has less than %d characters and could be guessed", name, token.Name, shortToken))
		}
	}
	if mode := info.Mode().Perm(); plain && mode&0o077 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s holds tokens and others may read it (mode %04o): chmod 600, or keep sha256 in place of token", name, mode))
	}
	return list, warnings, nil
}

func (e tokenEntry) parse(f *yamlfile.File, i int) (admin.Token, *yamlfile.Error) {
	at := fmt.Sprintf("[%d]", i)
	role := admin.Role(e.Role)
	if !role.Known() {
		return admin.Token{}, f.Errorf(at+".role", "%q is not a role: write viewer, operator or admin", e.Role)
	}
	if e.Name == "" {
		e.Name = fmt.Sprintf("token %d", i+1)
	}
	switch {
	case e.Token != "" && e.SHA256 != "":
		return admin.Token{}, f.Errorf(at+".sha256", "give token or sha256, not both")
	case e.Token != "" && strings.ContainsFunc(e.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return admin.Token{}, f.Errorf(at+".token", "a token has no spaces, and ASCII only: it is sent in a header")
	case e.Token != "":
		return admin.NewToken(e.Name, role, e.Token), nil
	case e.SHA256 == "":
		return admin.Token{}, f.Errorf(at, "give this token's sha256 (64 hexadecimal digits), or the token itself")
	}
	token := admin.Token{Name: e.Name, Role: role}
	digest, err := hex.DecodeString(e.SHA256)
	if err != nil || len(digest) != len(token.Digest) {
		return admin.Token{}, f.Errorf(at+".sha256", "%q is not a SHA-256 digest: write its 64 hexadecimal digits", e.SHA256)
	}
	copy(token.Digest[:], digest)
	return token, nil
}
