package guardian

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/machine"
)

// often is a liveness that is asked often; how is a command's line, host:port or a URL.
func often(how ...string) *sup.Liveness {
	l := &sup.Liveness{Interval: 100e6, Timeout: 5e9, Failures: 2}
	switch {
	case strings.HasPrefix(how[0], "http"):
		l.HTTP = how[0]
	case strings.HasPrefix(how[0], "/"):
		l.Command = how
	default:
		l.TCP = how[0]
	}
	return l
}

func sleeper(l *sup.Liveness) Program {
	return Program{Command: "/bin/sleep", Args: []string{"1000"}, Liveness: l}
}

func TestAHungCommandIsACrash(t *testing.T) {
	r := newRig(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var status, heard atomic.Int64
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			heard.Add(1)
			c.Close()
		}
	}()
	status.Store(200)
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		heard.Add(1)
		code := int(status.Load())
		if code == 0 {
			<-silent
			return
		}
		w.WriteHeader(code)
	}))
	defer server.Close()
	defer close(silent)
	file, ran := filepath.Join(r.dir, "alive"), filepath.Join(r.dir, "ran")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	probes := func() int64 { // that were made, of all kinds
		lines, _ := os.ReadFile(ran)
		return heard.Load() + int64(len(lines))
	}
	quick := func(l *sup.Liveness) *sup.Liveness {
		l.Timeout = 50e6
		return l
	}
	sick := func(code int64) func() { return func() { status.Store(code) } }
	for _, c := range []struct {
		name string
		l    *sup.Liveness
		hang func() // makes it fail; until then it is alive
		want string
	}{
		{"command", often("/bin/sh", "-c", "echo >> "+ran+"; cat "+file), func() { os.Remove(file) }, "liveness probe failed 2 times in a row, the last time: exit status 1: cat: " + file + ": No such file"},
		{"a command that hangs", quick(often("/bin/sh", "-c", "sleep 1000 & sleep 1000")), nil, "no answer within 50ms"},
		{"a command killed", often("/bin/sh", "-c", "kill -SEGV $$"), nil, "signal: segmentation fault"},
		{"a command that is no program", often("/dev/null"), nil, "/dev/null"},
		{"tcp", often(listener.Addr().String()), func() { listener.Close() }, "connection refused"},
		{"tcp at once", often(machine.Addr()), nil, "connection refused"},
		{"http", often(server.URL), sick(503), "GET " + server.URL + ": 503 Service Unavailable"},
		{"http that is silent", quick(often(server.URL)), sick(0), "no answer within 50ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status.Store(302) // followed nowhere
			s := r.start(sleeper(c.l))
			if c.want == "/dev/null" {
				if e := r.waitEnd(s); !e.InitFailed || !strings.HasPrefix(e.Detail, "liveness: command") {
					t.Errorf("%+v", e)
				}
				return
			}
			r.waitStarted(s)
			if c.hang != nil {
				before := probes()
				await.True(t, "a few probes", func() bool { return probes() >= before+4 })
				if _, ended := r.endOf(s); ended {
					t.Fatal("it was alive")
				}
				c.hang()
			}
			e := r.waitEnd(s)
			if e.Reason != sup.ExitError || e.InitFailed || !strings.HasPrefix(e.Detail, "liveness probe failed 2 times in a row, ") || !strings.Contains(e.Detail, c.want) {
				t.Errorf("%+v, want %q", e, c.want)
			}
			if left := leftovers(r.nodeID); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// A probe is not begun for a command that is to stop, and none is left when its command's end is reported, whatever the reason.
func TestNoProbeOutlivesItsCommand(t *testing.T) {
	r := newRig(t)
	for name, end := range map[string]func(agent.Spawn){
		"stopped": stopIn(r, time.Minute),
		"killed":  func(s agent.Spawn) { r.Kill(agent.Kill{Key: s.Key, Inc: s.Inc}) },
		"fenced":  func(agent.Spawn) { r.Fence() },
	} {
		t.Run(name, func(t *testing.T) {
			probe, file := ticker(r.dir, "daemon")
			l := often("/usr/bin/env", "ROLE="+probe.Env["ROLE"], probe.Command)
			l.Timeout = 60e9
			s := r.start(sleeper(l))
			pid := waitTicks(t, file)
			end(s)
			e := r.waitEnd(s)
			if alive(pid) || len(leftovers(r.nodeID)) > 0 {
				t.Errorf("%+v: a probe is left", e)
			}
			if want := map[string]sup.ExitReason{"stopped": sup.ExitShutdown, "killed": sup.ExitKilled, "fenced": sup.ExitKilled}[name]; e.Reason != want {
				t.Errorf("%+v, want %s", e, want)
			}
			if name == "fenced" {
				r.session.Seq++
				r.lease(time.Hour)
			}
		})
	}
	deaf := r.start(Program{Command: "/bin/sh", Args: []string{"-c", `trap '' TERM; while :; do sleep 0.05; done`}, Liveness: often("/bin/false")})
	r.waitStarted(deaf)
	stopIn(r, 500*time.Millisecond)(deaf) // it is not found hung meanwhile
	if e := r.waitEnd(deaf); e.Reason == sup.ExitError && !strings.Contains(e.Detail, "liveness") {
		t.Errorf("%+v", e)
	}
	if r.probes.Load() != 0 {
		await.True(t, "no probe is under way", func() bool { return r.probes.Load() == 0 })
	}
}

// The guardian is lost with the probes that it ran; what is started anew is watched again.
func TestProbesOfALostGuardian(t *testing.T) {
	r := newRig(t)
	l := often("/bin/sleep", "1000")
	l.Timeout = 60e9
	s := r.start(sleeper(l))
	await.True(t, "a probe runs", func() bool { return r.probes.Load() == 1 })
	r.waitStarted(s)
	pid := r.guardianPID(0)
	if p, err := os.FindProcess(pid); err != nil || p.Kill() != nil {
		t.Fatal(err)
	}
	if e := r.waitEnd(s); e.Detail != "guardian lost" {
		t.Errorf("%+v", e)
	}
	await.True(t, "no probe is under way", func() bool { return r.probes.Load() == 0 })
	r.guardianPID(pid)
	again := r.start(sleeper(often("/bin/false")))
	if e := r.waitEnd(again); !strings.HasPrefix(e.Detail, "liveness probe failed 2 times in a row") {
		t.Errorf("%+v", e)
	}
}

// A probe that leaves a daemon behind each time does not fill the machine, and takes nobody else's.
func TestWhatAProbeLeavesIsKilled(t *testing.T) {
	r := newRig(t)
	bystander, still := ticker(r.dir, "daemon", "BARE")
	other := r.start(bystander)
	keep := waitTicks(t, still)
	probe, file := ticker(r.dir, "daemon")
	l := often("/usr/bin/env", "ROLE="+probe.Env["ROLE"], probe.Command)
	l.Timeout, l.Failures = 1e9, 1000
	s := r.start(sleeper(l))
	first := waitTicks(t, file)
	await.True(t, "the first one is gone", func() bool { return !alive(first) })
	if _, ended := r.endOf(s); ended {
		t.Error("its command has ended")
	}
	if !alive(keep) {
		t.Error("another command's daemon is gone")
	}
	for _, c := range []agent.Spawn{s, other} {
		r.Kill(agent.Kill{Key: c.Key, Inc: c.Inc})
		r.waitEnd(c)
	}
}
