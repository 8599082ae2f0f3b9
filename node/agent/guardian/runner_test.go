package guardian

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

func TestS5ExitReasons(t *testing.T) {
	r := newRig(t)
	deaf := `trap '' TERM; echo on > $0; while :; do sleep 0.05; done`
	polite := `trap 'exit 7' TERM; echo on > $0; while :; do sleep 0.01; done`
	for _, c := range []struct {
		name, script string
		act          func(agent.Spawn)
		reason       sup.ExitReason
		detail       string
	}{
		{"status 0", "exit 0", nil, sup.ExitNormal, ""},
		{"status 3", "exit 3", nil, sup.ExitError, "exit status 3"},
		{"a signal", "kill -KILL $$", nil, sup.ExitError, "signal: killed"},
		{"another signal", "kill -SEGV $$", nil, sup.ExitError, "signal: segmentation fault"},
		{"asked to stop", "sleep 1000", stopIn(r, time.Minute), sup.ExitShutdown, "signal: terminated"},
		{"asked for ever", "sleep 1000", func(s agent.Spawn) { r.Stop(agent.Stop{Key: s.Key, Inc: s.Inc, Timeout: -1}) }, sup.ExitShutdown, "signal: terminated"},
		{"asked and says 7", polite, stopIn(r, time.Minute), sup.ExitShutdown, "exit status 7"},
		{"does not stop in time", deaf, stopIn(r, 50*time.Millisecond), sup.ExitKilled, "did not stop within 50ms"},
		{"no time to stop", polite, stopIn(r, 0), sup.ExitKilled, "killed at once, as its shutdown_timeout is 0s"},
		{"killed", polite, func(s agent.Spawn) { r.Kill(agent.Kill{Key: s.Key, Inc: s.Inc}) }, sup.ExitKilled, "killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := filepath.Join(t.TempDir(), "up")
			s := r.start(Program{Command: "/bin/sh", Args: []string{"-c", c.script, up}})
			r.waitStarted(s)
			if c.script == deaf || c.script == polite { // its trap is set
				await.True(t, "the script is up", func() bool { _, err := os.Stat(up); return err == nil })
			}
			if c.act != nil {
				c.act(s)
			}
			e := r.waitEnd(s)
			if e.Reason != c.reason || !strings.HasPrefix(e.Detail, c.detail) || e.InitFailed {
				t.Errorf("ended %+v, want %s %q", e, c.reason, c.detail)
			}
		})
	}
}

func stopIn(r *rig, d time.Duration) func(agent.Spawn) {
	return func(s agent.Spawn) { r.Stop(agent.Stop{Key: s.Key, Inc: s.Inc, Timeout: int64(d)}) }
}

// The signal goes to the whole group; what is left at the shutdown_timeout is killed as ever.
func TestTheStopSignalIsTheChosenOne(t *testing.T) {
	r := newRig(t)
	for _, name := range append(sup.StopSignals, "") {
		t.Run(string(name), func(t *testing.T) {
			up := filepath.Join(t.TempDir(), "up")
			short := strings.TrimPrefix(string(name), "SIG")
			if name == "" {
				short = "TERM"
			}
			s := r.start(Program{Command: "/bin/bash", Args: []string{"-c",
				`for s in TERM INT QUIT HUP ABRT USR1 USR2 WINCH; do trap "echo $s > $0; exit 0" $s; done; echo on > $0; while :; do sleep 0.01; done`, up}, StopSignal: name})
			r.waitStarted(s)
			await.True(t, "the script is up", func() bool { text, _ := os.ReadFile(up); return string(text) == "on\n" })
			stopIn(r, time.Minute)(s)
			if e := r.waitEnd(s); e.Reason != sup.ExitShutdown || e.Detail != "exit status 0" {
				t.Errorf("ended %+v", e)
			}
			if text, _ := os.ReadFile(up); string(text) != short+"\n" {
				t.Errorf("it was asked by %q", text)
			}
		})
	}
	deaf := r.start(Program{Command: "/bin/sleep", Args: []string{"1000"}, StopSignal: "SIGWINCH"}) // which it ignores
	r.waitStarted(deaf)
	stopIn(r, 50*time.Millisecond)(deaf)
	if e := r.waitEnd(deaf); e.Reason != sup.ExitKilled || e.Detail != "did not stop within 50ms" {
		t.Errorf("ended %+v", e)
	}
}

func TestStartFailuresSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	noInterpreter := write("no-interpreter", "#!/nowhere/sh\n", 0o755)
	noProgram := write("no-program", "\x00\x01\x02", 0o755)
	noExec := write("no-exec", "#!/bin/sh\n", 0o644)
	r := newRig(t, func(c *Config) { c.Allow = Allow{dir + "/*", "/bin/**"} })
	for _, c := range []struct {
		name    string
		program Program
		text    string
	}{
		{"relative", Program{Command: "./x"}, "is a relative path"},
		{"not in PATH", Program{Command: "no-such-program"}, "is not in PATH"},
		{"own PATH", Program{Command: "sh", Env: map[string]string{"PATH": dir}}, "is not in PATH (" + dir + ")"},
		{"missing", Program{Command: "/no/such"}, "does not exist on this node"},
		{"not allowed", Program{Command: "/etc/passwd"}, "add /etc/passwd or a glob that matches it to exec.allow"},
		{"directory", Program{Command: dir + "/../" + filepath.Base(dir)}, "is not allowed"},
		{"not executable", Program{Command: noExec}, "chmod +x"},
		{"interpreter", Program{Command: noInterpreter}, "its interpreter"},
		{"no program", Program{Command: noProgram}, "neither a program of this machine"},
		{"bad dir", Program{Command: noInterpreter, Dir: "/no/dir"}, `dir "/no/dir" does not exist`},
		{"dir is a file", Program{Command: noInterpreter, Dir: noExec}, "is not a directory"},
		{"reserved", Program{Command: noInterpreter, Env: map[string]string{"SUPNODE_NODE_ID": "x"}}, "SUPNODE_NODE_ID is set by the node itself"},
		{"too long", Program{Command: noInterpreter, Args: []string{strings.Repeat("x", 9<<20)}}, "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := r.start(c.program)
			e := r.waitEnd(s)
			if !e.InitFailed || e.Reason != sup.ExitError || !strings.Contains(e.Detail, c.text) || r.started(s) {
				t.Errorf("ended %+v, want an init failure with %q", e, c.text)
			}
		})
	}
	bad := spawnOf(r.session, "bad", 1000, Program{})
	bad.Args = []json.RawMessage{[]byte(`{"command": "/bin/sh", "argz": []}`)}
	r.Spawn(bad)
	if e := r.waitEnd(bad); !e.InitFailed || !strings.Contains(e.Detail, "argz") {
		t.Errorf("ended %+v, want an init failure that names the unknown field", e)
	}
}

func TestACommandKnowsWhoItIs(t *testing.T) {
	t.Setenv("SUPNODE_SECRET", "no")
	t.Setenv("INHERITED", "yes")
	t.Setenv("LATIN", "caf\xe9") // an environment is bytes
	r := newRig(t)
	out := filepath.Join(t.TempDir(), "env")
	s := r.start(Program{
		Command: "sh", Args: []string{"-c", `env > $0; pwd >> $0; ls -l /proc/self/fd >> $0; cat >> $0`, out},
		Env: map[string]string{"INHERITED": "no", "A": "b"}, Dir: "/usr",
	})
	r.waitEnd(s)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"SUPNODE_SUPERVISOR=pool", "SUPNODE_CHILD=c1", "SUPNODE_NODE=n1", "SUPNODE_NODE_ID=" + r.nodeID,
		"SUPNODE_INCARNATION=" + strconv.FormatUint(s.Inc.Token(), 10), "A=b", "INHERITED=no", "LATIN=caf\xe9", "/usr",
	} {
		if !strings.Contains("\n"+string(text), "\n"+want+"\n") {
			t.Errorf("no line %q", want)
		}
	}
	for _, not := range []string{"SUPNODE_SECRET", marker, "socket", "timerfd", "pidfd"} {
		if strings.Contains(string(text), not) {
			t.Errorf("a command is not to see %s in\n%s", not, text)
		}
	}
}

func TestALongCommandLineArrives(t *testing.T) {
	r := newRig(t)
	args := []string{"-c", `exit $(( $# == 20 && ${#1} == 100000 ? 0 : 1 ))`, "sh"}
	for range 20 {
		args = append(args, strings.Repeat("x", 100_000))
	}
	if e := r.waitEnd(r.start(Program{Command: "/bin/sh", Args: args[:13]})); e.Detail != "exit status 1" {
		t.Errorf("ended %+v", e)
	}
	args = args[:3]
	for range 20 {
		args = append(args, strings.Repeat("x", 100_000))
	}
	if e := r.waitEnd(r.start(Program{Command: "/bin/sh", Args: args})); e.Reason != sup.ExitNormal {
		// The kernel may allow less than 2 MB, and then says so.
		if !strings.Contains(e.Detail, "too long") {
			t.Errorf("ended %+v", e)
		}
	}
}

func TestDescendantsOfAnEndedCommandAreKilledBeforeItIsReported(t *testing.T) {
	r := newRig(t)
	for _, bare := range [][]string{nil, {"BARE"}} {
		t.Run(fmt.Sprint("bare", bare), func(t *testing.T) {
			bystander, still := ticker(r.dir, "daemon")
			other := r.start(bystander)
			waitTicks(t, still)

			p, file := ticker(r.dir, "daemon", bare...)
			s := r.start(p)
			pid := waitTicks(t, file)
			r.Kill(agent.Kill{Key: s.Key, Inc: s.Inc})
			r.waitEnd(s)
			if alive(pid) {
				t.Error("a daemon outlives the report of its command's end")
			}
			if pid, _, _ := ticks(still); !alive(pid) {
				t.Error("the daemon of another command was killed")
			}
			r.Kill(agent.Kill{Key: other.Key, Inc: other.Inc})
			r.waitEnd(other)
		})
	}
	t.Run("a daemon whose command left at once", func(t *testing.T) {
		p, file := ticker(r.dir, "daemon-and-leave")
		s := r.start(p)
		r.waitEnd(s)
		if pid, _, _ := ticks(file); pid != 0 && alive(pid) {
			t.Error("a daemon outlives the report of its command's end")
		}
	})
	t.Run("a group", func(t *testing.T) {
		s := r.shell(`sleep 1000 & sleep 1000 & exit 0`)
		if e := r.waitEnd(s); e.Reason != sup.ExitNormal {
			t.Errorf("ended %+v", e)
		}
		if left := leftovers(r.nodeID); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestStoppedBeforeItStarted(t *testing.T) {
	r := newRig(t)
	for range 50 {
		s := r.shell("exec sleep 1000")
		r.Stop(agent.Stop{Key: s.Key, Inc: s.Inc, Timeout: int64(time.Minute)})
		if e := r.waitEnd(s); e.Reason != sup.ExitShutdown || e.InitFailed {
			t.Fatalf("ended %+v", e)
		}
	}
}

func TestASpawnIsCarriedOutOnce(t *testing.T) {
	r := newRig(t)
	out := filepath.Join(t.TempDir(), "out")
	s := r.start(Program{Command: "/bin/sh", Args: []string{"-c", `echo x >> $0; exec sleep 1000`, out}})
	r.Spawn(s)
	r.waitStarted(s)
	r.Spawn(s)
	r.Stop(agent.Stop{Key: s.Key, Inc: sup.Incarnation{Gen: 1, Index: 99}}) // not here: ignored
	r.Kill(agent.Kill{Key: s.Key, Inc: s.Inc})
	r.waitEnd(s)
	if r.count(agent.Started{}) != 1 || r.count(agent.Ended{}) != 1 {
		t.Errorf("events: %v", r.seen())
	}
}

func TestShortCommands(t *testing.T) {
	r := newRig(t)
	const n = 300
	began := time.Now()
	for range n {
		r.start(Program{Command: "/bin/true"})
	}
	await.True(t, "all end", func() bool { return r.count(agent.Ended{}) == n })
	t.Logf("%d short commands: %.0f a second", n, n/time.Since(began).Seconds())
	for _, e := range r.seen() {
		if e, is := e.(agent.Ended); is && e.Reason != sup.ExitNormal {
			t.Errorf("%+v", e)
		}
	}
}

func TestOfTwoStopsTheNearerEndCounts(t *testing.T) {
	r := newRig(t)
	for _, timeouts := range [][]time.Duration{{time.Hour, 50 * time.Millisecond}, {50 * time.Millisecond, time.Hour}, {50 * time.Millisecond, -1}} {
		up := filepath.Join(t.TempDir(), "up")
		s := r.start(Program{Command: "/bin/sh", Args: []string{"-c", `trap '' TERM; echo on > $0; while :; do sleep 0.05; done`, up}})
		await.True(t, "the script is up", func() bool { _, err := os.Stat(up); return err == nil })
		for _, d := range timeouts {
			stopIn(r, d)(s)
		}
		if e := r.waitEnd(s); e.Reason != sup.ExitKilled || e.Detail != "did not stop within 50ms" {
			t.Errorf("%v: %+v", timeouts, e)
		}
	}
}

func TestACommandIsNotUrgent(t *testing.T) {
	r := newRig(t)
	out := filepath.Join(t.TempDir(), "nice")
	r.waitEnd(r.start(Program{Command: "/bin/sh", Args: []string{"-c", "nice > $0", out}}))
	text, err := os.ReadFile(out)
	if own, _ := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err != nil || string(text) != fmt.Sprintln(20-own) {
		t.Errorf("nice %q %v", text, err)
	}
}
