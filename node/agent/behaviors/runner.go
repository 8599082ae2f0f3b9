package behaviors

import (
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/node/clock"
	sup "github.com/supnode/supnode/supervisor"
)

// Config is what a Runner is told.
type Config struct {
	Node     sup.NodeName
	Registry *actor.Registry // nil = no behaviors
	Clock    clock.Clock     // the one of the leases
	Router   actor.Router    // carries messages to other nodes; nil = none are carried
	Logger   hclog.Logger    // default none
}

// Runner runs Go behaviors. It implements agent.Runner.
type Runner struct {
	system *actor.System
	lease  *lease
	sink   func(agent.Event)
	log    hclog.Logger
}

// Start makes a runner whose events go to sink. It runs nothing before its first lease.
func Start(c Config, sink func(agent.Event)) *Runner {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	r := &Runner{lease: newLease(c.Clock), sink: sink, log: c.Logger}
	r.system = actor.NewSystem(actor.Options{
		Node: string(c.Node), Registry: c.Registry, Watch: watch{r}, Open: r.lease.open, Router: c.Router,
	})
	return r
}

// System is where refs and messages go.
func (r *Runner) System() *actor.System { return r.system }

// Spawn implements agent.Runner.
func (r *Runner) Spawn(sp agent.Spawn) {
	err := r.system.Spawn(actor.Spec{
		Key: keyOf(sp.Key), Incarnation: actor.Incarnation(sp.Inc.Token()), Behavior: sp.Behavior, Args: sp.Args,
		InitTimeout: time.Duration(sp.InitTimeout), ShutdownTimeout: time.Duration(sp.ShutdownTimeout),
	})
	if err != nil {
		r.sink(agent.Ended{Key: sp.Key, Inc: sp.Inc, Reason: sup.ExitError, Detail: err.Error(), InitFailed: true})
	}
}

// Stop implements agent.Runner.
func (r *Runner) Stop(st agent.Stop) {
	r.system.Stop(keyOf(st.Key), actor.Incarnation(st.Inc.Token()), time.Duration(st.Timeout))
}

// Kill implements agent.Runner.
func (r *Runner) Kill(k agent.Kill) {
	r.system.Kill(keyOf(k.Key), actor.Incarnation(k.Inc.Token()))
}

// Lease implements agent.Runner.
func (r *Runner) Lease(l agent.Lease) { r.lease.extend(l.Deadline) }

// Fence implements agent.Runner.
func (r *Runner) Fence() {
	r.lease.end()
	r.system.KillAll("the lease of its node is over")
}

// Close implements agent.Runner. Hanging code makes it wait, and the fence ends the process for it at the end of the lease.
func (r *Runner) Close() {
	r.lease.end()
	r.system.Close()
}

// watch tells the sink what the actors do.
type watch struct{ r *Runner }

func (w watch) Started(k actor.Key, inc actor.Incarnation) {
	w.r.sink(agent.Started{Key: supKey(k), Inc: incOf(inc)})
}

func (w watch) Ended(e actor.Exit) {
	w.r.sink(agent.Ended{Key: supKey(e.Key), Inc: incOf(e.Incarnation), Reason: sup.ExitReason(e.Reason), Detail: e.Detail, InitFailed: e.InitFailed})
}

func (w watch) Unhandled(k actor.Key, typ string) {
	w.r.log.Debug("a cast that its behavior does not handle", "supervisor", k.Supervisor, "child", k.Child, "type", typ)
}

func (w watch) Hanging(k actor.Key, inc actor.Incarnation) {
	w.r.log.Warn("a child hangs: it was to stop, and its code does not return", "supervisor", k.Supervisor, "child", k.Child,
		"incarnation", uint64(inc))
	w.r.sink(agent.Hanging{Key: supKey(k), Inc: incOf(inc)})
}

func keyOf(k sup.Key) actor.Key {
	return actor.Key{Supervisor: string(k.Supervisor), Child: string(k.Child)}
}

func supKey(k actor.Key) sup.Key {
	return sup.Key{Supervisor: sup.Name(k.Supervisor), Child: sup.ChildID(k.Child)}
}

func incOf(t actor.Incarnation) sup.Incarnation { return sup.IncarnationOf(uint64(t)) }

var _ agent.Runner = (*Runner)(nil)
