package guardian

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAllowGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, path string
		permits    bool
	}{
		{"/usr/bin/*", "/usr/bin/env", true},
		{"/usr/bin/*", "/usr/bin/a/b", false},
		{"/usr/bin/*", "/usr/bin", false},
		{"/usr/*/env", "/usr/bin/env", true},
		{"/usr/bin/py*", "/usr/bin/python3", true},
		{"/usr/bin/py*", "/usr/bin/perl", false},
		{"/opt/**", "/opt/a", true},
		{"/opt/**", "/opt/a/b/c", true},
		{"/opt/**", "/optional/a", false},
		{"/opt/**/bin/*", "/opt/bin/x", true},
		{"/opt/**/bin/*", "/opt/a/b/bin/x", true},
		{"/opt/**/bin/*", "/opt/a/b/bin/x/y", false},
		{"/**", "/a/b", true},
		{"/usr/bin/env", "/usr/bin/env", true},
		{"/usr/bin/env", "/usr/bin/env2", false},
	} {
		if err := (Allow{c.glob}).Check(); err != nil {
			t.Error(err)
		}
		if got := (Allow{c.glob}).Permits(c.path); got != c.permits {
			t.Errorf("%s permits %s: %v", c.glob, c.path, got)
		}
	}
	if (Allow{}).Permits("/bin/sh") {
		t.Error("no glob permits something")
	}
	for _, bad := range []string{"usr/bin/*", "/opt/a**", "/opt/[a"} {
		if err := (Allow{bad}).Check(); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestALinkDoesNotWidenWhatIsAllowed(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "innocent")
	if err := os.Symlink("/bin/sh", link); err != nil {
		t.Fatal(err)
	}
	sh, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Program{Command: link}).resolve(Allow{dir + "/*"}, nil); err == nil || !strings.Contains(err.Error(), sh) {
		t.Errorf("through a link: %v", err)
	}
	file, err := (Program{Command: "innocent"}).resolve(Allow{sh}, []string{"PATH=relative:" + dir})
	if err != nil || file != sh {
		t.Errorf("%q, %v", file, err)
	}
}

func TestParseProgram(t *testing.T) {
	for _, c := range []struct{ args, text string }{
		{``, "needs an argument"},
		{`{"command": "/a"} | {"command": "/b"}`, "a string or a number"},
		{`"sleep 1"`, "is an object"},
		{`{"args": ["x"]}`, "needs a command"},
		{`{"command": "/a", "args": "x"}`, "args[0].args"},
		{`{"command": "/a", "env": {"A=B": "c"}}`, "A=B"},
		{`{"command": "/a", "dir": "b"}`, "relative"},
		{`{"command": "/a\u0000"}`, "NUL"},
		{`{"command": "/a", "env": {"SUPNODE_CHILD": "x"}}`, "SUPNODE_CHILD"},
	} {
		var args []json.RawMessage
		for part := range strings.SplitSeq(c.args, " | ") {
			if part != "" {
				args = append(args, json.RawMessage(part))
			}
		}
		if _, err := ParseProgram(args); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %q", c.args, err, c.text)
		}
	}
}
