package agent

import (
	"fmt"
	"slices"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	ms   = int64(1e6)
	sec  = 1000 * ms
	ttl  = 3 * sec
	h    = 500 * ms
	half = ttl / 6 / 2 // F/2
)

func settings() fsm.Settings {
	return fsm.Settings{HeartbeatInterval: h, LeaseTTL: ttl, FastFailover: "off", EventHistory: 1 << 20}
}

func config() Config {
	return Config{Node: "n1", ID: "u1", Addr: "127.0.0.1:1", Settings: settings(), Gen: 1, Seed: 7}
}

func session(seq uint64) sup.Session { return sup.Session{Gen: 1, Seq: seq} }

func inc(e uint64) sup.Incarnation { return sup.Incarnation{Gen: 1, Index: e} }

func key(id string) sup.Key { return sup.Key{Supervisor: "s", Child: sup.ChildID(id)} }

// rig is a machine with somebody who plays its leader and its runner.
type rig struct {
	t   *testing.T
	m   *Machine
	now Instant
	got []Action // of the last step
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	c := config()
	for _, f := range change {
		f(&c)
	}
	return &rig{t: t, m: New(c), now: 100 * sec}
}

func (r *rig) step(ev Event) []Action {
	r.t.Helper()
	r.got = r.m.Step(ev, r.now)
	return r.got
}

// pass lets time go by without an event but the wakes that the machine asked for.
func (r *rig) pass(d int64) (all []Action) {
	r.t.Helper()
	end := r.now + d
	for r.m.asked > r.now && r.m.asked <= end && !r.m.over {
		r.now = r.m.asked
		all = append(all, r.step(Tick{})...)
	}
	r.now = end
	r.got = append(all, r.step(Tick{})...)
	return r.got
}

func (r *rig) frame(f rpc.ToAgent) []Action {
	r.t.Helper()
	return r.step(Received{Stream: r.m.stream.id, Frame: f})
}

func (r *rig) welcome(current sup.Session, live bool) []Action {
	r.t.Helper()
	return r.frame(rpc.ToAgent{Welcome: &rpc.Welcome{Term: 1, Leader: "n2", Gen: max(current.Gen, 1), Current: current, Live: live, TTL: ttl, H: h}})
}

func (r *rig) registered(s sup.Session) []Action {
	r.t.Helper()
	return r.frame(rpc.ToAgent{Registered: &rpc.Registered{Nonce: r.m.attempt.nonce, Session: s, Current: s}})
}

// grant answers the newest renewal.
func (r *rig) grant() []Action {
	r.t.Helper()
	return r.frame(rpc.ToAgent{Grant: &rpc.Grant{Session: r.m.session, Seq: r.m.seq, TTL: ttl, Fence: ttl / 6, H: h}})
}

// leased brings the machine to a fresh lease of session 1.seq.
func leased(t *testing.T, seq uint64, change ...func(*Config)) *rig {
	t.Helper()
	r := newRig(t, change...)
	r.step(StreamUp{Stream: 1})
	r.welcome(session(seq-1), false)
	r.registered(session(seq))
	r.grant()
	if !r.m.live() {
		t.Fatalf("no lease: %v", r.got)
	}
	return r
}

func (r *rig) spawn(id string, e uint64) []Action {
	r.t.Helper()
	return r.frame(rpc.ToAgent{Spawns: []rpc.Spawn{r.order(id, e)}})
}

func (r *rig) order(id string, e uint64) rpc.Spawn {
	return rpc.Spawn{Session: r.m.session, Key: key(id), Inc: inc(e), Behavior: "exec", ShutdownTimeout: sec}
}

func (r *rig) stop(id string, e uint64, timeout int64) []Action {
	r.t.Helper()
	return r.frame(rpc.ToAgent{Stops: []rpc.Stop{{Session: r.m.session, Key: key(id), Inc: inc(e), Timeout: timeout}}})
}

// run spawns a child and lets its init return.
func (r *rig) run(id string, e uint64) {
	r.t.Helper()
	r.spawn(id, e)
	r.step(Started{Key: key(id), Inc: inc(e)})
	r.ack(id, e, fsm.ReportRunning)
}

func (r *rig) end(id string, e uint64, why sup.ExitReason) []Action {
	r.t.Helper()
	return r.step(Ended{Key: key(id), Inc: inc(e), Reason: why})
}

func (r *rig) ack(id string, e uint64, k fsm.ReportKind) []Action {
	r.t.Helper()
	return r.frame(rpc.ToAgent{Acks: []rpc.Ack{{Key: key(id), Inc: inc(e), Kind: k}}})
}

// find returns the actions of one type.
func find[A Action](acts []Action) (found []A) {
	for _, a := range acts {
		if a, ok := a.(A); ok {
			found = append(found, a)
		}
	}
	return found
}

func has[A Action](acts []Action) bool { return len(find[A](acts)) > 0 }

// first reports whether the first action is of type A.
func first[A Action](acts []Action) bool {
	if len(acts) == 0 {
		return false
	}
	_, ok := acts[0].(A)
	return ok
}

// sent returns the frames that carry something.
func sent[F any](acts []Action, part func(rpc.FromAgent) *F) (parts []*F) {
	for _, s := range find[Send](acts) {
		if p := part(s.Frame); p != nil {
			parts = append(parts, p)
		}
	}
	return parts
}

func hellos(acts []Action) []*rpc.Hello {
	return sent(acts, func(f rpc.FromAgent) *rpc.Hello { return f.Hello })
}

func registers(acts []Action) []*fsm.Register {
	return sent(acts, func(f rpc.FromAgent) *fsm.Register { return f.Register })
}

func renewals(acts []Action) []*rpc.Renew {
	return sent(acts, func(f rpc.FromAgent) *rpc.Renew { return f.Renew })
}

func goodbyes(acts []Action) []*rpc.Goodbye {
	return sent(acts, func(f rpc.FromAgent) *rpc.Goodbye { return f.Goodbye })
}

// told returns the reports as "child e kind".
func told(acts []Action) (all []string) {
	kinds := map[fsm.ReportKind]string{fsm.ReportRunning: "running", fsm.ReportEnded: "ended", fsm.ReportInitFailed: "init_failed", fsm.ReportHanging: "hanging"}
	for _, s := range find[Send](acts) {
		for _, r := range s.Frame.Reports {
			line := fmt.Sprintf("%s %d %s", r.Key.Child, r.Inc.Index, kinds[r.Kind])
			if r.Reason != "" {
				line += " " + string(r.Reason)
			}
			all = append(all, line)
		}
	}
	return all
}

func (r *rig) wantTold(want ...string) {
	r.t.Helper()
	if got := told(r.got); !slices.Equal(got, want) {
		r.t.Errorf("reports %q, want %q", got, want)
	}
}

func (r *rig) wantNothing() {
	r.t.Helper()
	if acts := slices.DeleteFunc(slices.Clone(r.got), func(a Action) bool { _, w := a.(Wake); return w }); len(acts) > 0 {
		r.t.Errorf("did %v, want nothing", acts)
	}
}
