package guardian

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

func TestEnvFileFormat(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
		why  string
	}{
		{"", nil, ""},
		{"A=b\nC=d", []string{"A=b", "C=d"}, ""},
		{"# note\n; note\n\n  \t\nA=b # is no note\n", []string{"A=b # is no note"}, ""},
		{"  A = b c \t\r\nB=\n", []string{"A=b c", "B="}, ""},
		{"\ufeffA=b\n", []string{"A=b"}, ""},
		{"A=$B \\n ${C} 'd'\n", []string{`A=$B \n ${C} 'd'`}, ""},
		{`A="b \" \\ \$ \n c" ` + "\n", []string{`A=b " \ $ \n c`}, ""},
		{`A=' b \" "c" '` + "\n", []string{`A= b \" "c" `}, ""},
		{"A=\"-----BEGIN  \n  x=y\r\n#z\n\"\nB='1\n2'\n", []string{"A=-----BEGIN  \n  x=y\n#z\n", "B=1\n2"}, ""},
		{"A=''\nB=\"\"\n", []string{"A=", "B="}, ""},
		{"A=caf\xe9\n", []string{"A=caf\xe9"}, ""},
		{"A=1\nA=2\n", []string{"A=1", "A=2"}, ""},
		{"A=b=c\n", []string{"A=b=c"}, ""},

		{"A=b\nhunter2\n", nil, "line 2: it has no ="},
		{"export A=hunter2\n", nil, "line 1: what is before the = is not the name of a variable"},
		{"=hunter2\n", nil, "line 1: what is before"},
		{"1A=hunter2\n", nil, "line 1: what is before"},
		{"A=b\n\nB='hunter2\n\n", nil, "line 3: the quote that opens its value is not closed"},
		{`A="hunter2" hunter3`, nil, "line 1: something follows the closing quote"},
		{"A=\"1\n2\nhunter2\" x\n", nil, "line 1: something follows the closing quote"},
		{"A=\"1\n2\"\nhunter2\n", nil, "line 3: it has no ="},
		{"A=hun\x00ter2\n", nil, "line 1: it has a NUL byte"},
		{"A='\nhun\x00ter2'\n", nil, "line 1: its value has a NUL byte"},
		{"\nSUPNODE_NODE_ID=hunter2\n", nil, "line 2: SUPNODE_NODE_ID is set by supnode"},
	} {
		env, err := parseEnv([]byte(c.text))
		switch {
		case c.why == "":
			if d := cmp.Diff(c.want, env); d != "" || err != nil {
				t.Errorf("%q: %v %s", c.text, err, d)
			}
		case err == nil || !strings.HasPrefix(err.Error(), c.why) || strings.Contains(err.Error(), "hunter"):
			t.Errorf("%q: %v, want %s", c.text, err, c.why)
		}
	}
}

func FuzzEnvFile(f *testing.F) {
	f.Add([]byte("A='\"\nB=\"\\\"\n#\r\n\x00=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		env, err := parseEnv(text)
		if err != nil {
			return
		}
		for _, entry := range env {
			if name, _, ok := strings.Cut(entry, "="); !ok || !isEnvName(name) || strings.Contains(entry, "\x00") {
				t.Errorf("%q", entry)
			}
		}
	})
}

// The file is read at each start; env comes before it, a later file before an earlier one, and all before supnode's own.
func TestEnvFileIsReadAtEachStart(t *testing.T) {
	t.Setenv("OWN", "own")
	t.Setenv("SHARED", "own")
	r := newRig(t)
	first, second, out := filepath.Join(r.dir, "first"), filepath.Join(r.dir, "second"), filepath.Join(r.dir, "out")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(first, "SECRET=one\nSHARED=first\nTWICE=first\nTWICE=again\nENV=first\n")
	write(second, "SHARED=second\nPATH=/nowhere\n")
	program := Program{
		Command: "/bin/sh", Args: []string{"-c", `echo "$SECRET $SHARED $TWICE $ENV $OWN $PATH" >> $0`, out},
		Env: map[string]string{"ENV": "env"}, EnvFile: []string{first, second},
	}
	r.waitEnd(r.start(program))
	write(first, "SECRET=two\nTWICE=x\n")
	r.waitEnd(r.start(program))
	text, err := os.ReadFile(out)
	if want := "one second again env own /nowhere\ntwo second x env own /nowhere\n"; string(text) != want {
		t.Errorf("%q %v, want %q", text, err, want)
	}
	program.Command = "sh" // looked up in the PATH that the file sets
	if e := r.waitEnd(r.start(program)); !strings.Contains(e.Detail, `is not in PATH (/nowhere)`) {
		t.Errorf("%+v", e)
	}
}

func TestEnvFileFailuresSayWhatToDo(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "none does not exist on this node; create it, or pin the child to a node that has it",
		dir:                        "not a regular file",
		pipe:                       "not a regular file",
		"/dev/zero":                "not a regular file",
		write("large", "A="+strings.Repeat("x", maxEnvFile)):     "larger than 1048576 bytes",
		write("bad", "A=1\nhunter2\n"):                           "bad, line 2: it has no =; write NAME=VALUE",
		write("long", "A="+strings.Repeat("hunter2", 140<<10/7)): "its arguments and environment are too long",
	} {
		e := r.waitEnd(r.start(Program{Command: "/bin/true", EnvFile: []string{write("good", "B=hunter2\n"), path}}))
		if !e.InitFailed || e.Reason != sup.ExitError || !strings.Contains(e.Detail, want) || strings.Contains(e.Detail, "hunter2") {
			t.Errorf("%s: %+v, want %q", path, e, want)
		}
	}
	unreadable := write("unreadable", "A=1")
	if err := os.Chmod(unreadable, 0); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // it ends with the goroutine: nobody else gets its user
		_, _ = unix.SetfsuidRetUid(65534)
		_, err := readEnvFile(unreadable)
		failed <- err
	}()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "cannot be read by this process's user") {
		t.Errorf("%v", err)
	}
}
