package guardian

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
)

func TestOutputGoesToTheLog(t *testing.T) {
	r := newRig(t)
	s := r.shell("echo out; echo err >&2")
	r.waitEnd(s)
	path := filepath.Join(r.dir, "logs", "pool", "c1.log")
	holds := func(want string) func() bool {
		return func() bool { text, _ := os.ReadFile(path); return string(text) == want }
	}
	eventually(t, "the log has both", holds("out\nerr\n"))
	again := spawnOf(r.session, "c1", 100, Program{Command: "/bin/sh", Args: []string{"-c", "echo again"}})
	r.Spawn(again)
	r.waitEnd(again)
	eventually(t, "the next incarnation's follows", holds("out\nerr\nagain\n"))
}

func TestACommandThatWritesWithoutEndIsNotBlocked(t *testing.T) {
	r := newRig(t, func(c *Config) {})
	done := filepath.Join(r.dir, "done")
	s := r.start(Program{Command: "/bin/sh", Args: []string{"-c", `head -c 35000000 /dev/zero; echo > $0; exec sleep 1000`, done}})
	r.waitStarted(s)
	eventually(t, "35 MB are written", func() bool { _, err := os.Stat(done); return err == nil })
	r.Kill(agent.Kill{Key: s.Key, Inc: s.Inc})
	r.waitEnd(s)
	for _, name := range []string{"c1.log", "c1.log.1", "c1.log.2"} {
		info, err := os.Stat(filepath.Join(r.dir, "logs", "pool", name))
		if err != nil || info.Size() > LogSize {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "logs", "pool", "c1.log.3")); err == nil {
		t.Error("a fourth file is kept")
	}
}

func TestLogsRotateAndOutliveTheirDisk(t *testing.T) {
	dir := t.TempDir()
	l := newLogs(dir, hclog.NewNullLogger())
	l.size = 20
	c := l.of(sup.Key{Supervisor: "a/b", Child: "c.d"})
	for i := range 8 {
		fmt.Fprintf(c, "line %d..\n", i)
	}
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, "a", "b", name))
		return string(text)
	}
	if read("c.d.log") != "line 6..\nline 7..\n" || read("c.d.log.1") != "line 4..\nline 5..\n" || read("c.d.log.2") != "line 2..\nline 3..\n" {
		t.Errorf("%q %q %q", read("c.d.log"), read("c.d.log.1"), read("c.d.log.2"))
	}
	c.release()
	if len(l.open) != 0 {
		t.Error("a log stays open")
	}
	c = l.of(sup.Key{Supervisor: "a", Child: "b"}) // fine: logs/a/b.log beside logs/a/b/
	if err := os.MkdirAll(filepath.Join(dir, "a", "b.log"), 0o750); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write([]byte("lost")); n != 4 || err != nil || !c.dropping {
		t.Errorf("%d %v %v", n, err, c.dropping)
	}
	c.release()
	c = l.of(sup.Key{Supervisor: "../../outside-logs", Child: "y"})
	if _, _ = c.Write([]byte("out")); !c.dropping {
		t.Error("a log leads out of the data directory")
	}
	c.release()
	if strings.Contains(fmt.Sprint(os.ReadDir(filepath.Dir(filepath.Dir(dir)))), "outside-logs") {
		t.Error("a file outside the data directory")
	}
}
