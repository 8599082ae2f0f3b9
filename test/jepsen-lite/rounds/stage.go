package rounds

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/journal"
	"github.com/supnode/supnode/test/jepsen-lite/register"
)

// Options say what a Stage is.
type Options struct {
	Binary, Child string // programs: supnode, and the child that keeps a journal
	Dir           string // an empty folder for all it writes
	Seed          uint64
	Rerun         string // the line that plays it again
	Timing        history.Timing
	FastFailover  string
	Proxied       bool
	Quiet         time.Duration // how long it is watched that nothing starts; 0 = Timing.Quiet
	LogLevel      string
	Log           func(format string, args ...any)
}

// The children of every Stage, apart from those that the client starts and terminates.
const (
	Pool       = "pool" // the supervisor
	PoolSize   = 8
	churnTotal = 3 // children of the client's own at a time
)

// Stage is a cluster under watch.
type Stage struct {
	Options
	Cluster  *cluster.Cluster
	Register *register.Server
	Journals *journal.Reader
	Client   *cluster.Client
	Rand     *rand.Rand // of the one goroutine that plays

	journals  string
	consumers []*consumer
	watchers  sync.WaitGroup
	stop      context.CancelFunc // of the consumers and watchers
	clocks    []history.Sync
	rounds    []history.Round
	limits    map[string]history.Limit
	freed     sync.Once

	mu       sync.Mutex // guards all below
	ops      []history.Op
	calls    []history.Call
	requests int // keys made so far
	around   map[string]bool
	stalled  time.Duration // since it was last asked
	churned  int           // children of the client's own so far
}

// Open starts a cluster and waits until it is ready; no supervisor is started.
func Open(ctx context.Context, o Options) (s *Stage, err error) {
	if o.Quiet == 0 {
		o.Quiet = o.Timing.Quiet()
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	s = &Stage{Options: o, Rand: rand.New(rand.NewPCG(o.Seed, 1)), journals: filepath.Join(o.Dir, "journals"),
		clocks: []history.Sync{{Mono: history.Now(), Wall: time.Now()}}, limits: make(map[string]history.Limit), around: make(map[string]bool)}
	if err := os.MkdirAll(s.journals, 0o755); err != nil {
		return nil, err
	}
	s.Journals = journal.NewReader(s.journals)
	if s.Register, err = register.Listen(); err != nil {
		return nil, err
	}
	s.Cluster, err = cluster.New(cluster.Config{Binary: o.Binary, Dir: o.Dir, Nodes: 3, Timing: o.Timing, FastFailover: o.FastFailover,
		Proxied: o.Proxied, Allow: []string{o.Child}, LogLevel: o.LogLevel, Log: o.Log})
	if err != nil {
		return nil, errors.Join(err, s.Register.Close())
	}
	s.Client = s.Cluster.Client()
	watched, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	names := s.Cluster.Names()
	for i, stale := range []bool{false, true} {
		slices.Reverse(names)
		c := &consumer{client: s.Cluster.Client(names...), stale: stale, name: fmt.Sprintf("consumer %d (stale reads: %v)", i+1, stale)}
		s.consumers = append(s.consumers, c)
		s.watchers.Go(func() { c.run(watched) })
	}
	s.watchers.Go(func() { s.watchTime(watched) })
	if o.Proxied {
		s.watchers.Go(func() { s.watchAround(watched) })
	}
	bounded, cancel := context.WithTimeout(ctx, 5*history.Boot+o.Timing.Recovery())
	defer cancel()
	if err := s.Cluster.Start(bounded); err != nil {
		s.Abandon()
		return nil, fmt.Errorf("a fresh cluster does not get ready: %w\n%s", err, s.tails(15))
	}
	return s, nil
}

// Spec is the child spec of a child that keeps a journal; args are for the child program.
func (s *Stage) Spec(id string, args ...string) map[string]any {
	return map[string]any{
		"id": id, "behavior": "exec", "shutdown_timeout": "2s",
		"args": []any{map[string]any{"command": s.Child, "args": append([]string{"-dir", s.journals, "-register", s.Register.Addr()}, args...)}},
	}
}

// StartSupervisor starts a one_for_one supervisor with round_robin placement; intensity nil = the default one.
func (s *Stage) StartSupervisor(ctx context.Context, name string, intensity *history.Limit, children ...map[string]any) error {
	manifest := map[string]any{"name": name, "strategy": "one_for_one", "selector": "round_robin", "children": children}
	if intensity != nil {
		manifest["restart_intensity"] = map[string]any{"max_restarts": intensity.Max, "within": intensity.Within.String()}
		s.limits[name] = *intensity
	}
	at := history.Now()
	if err := s.Client.StartSupervisor(ctx, manifest, s.key()); err != nil {
		return fmt.Errorf("start of supervisor %s: %w", name, err)
	}
	for _, c := range children {
		s.did(history.Op{Key: history.Key{Supervisor: name, Child: c["id"].(string)}, Kind: history.OpStart, Invoked: at,
			Returned: history.Now(), Outcome: history.OK, Attempts: 1})
	}
	return nil
}

// StartPool starts the supervisor Pool with its children: permanent ones and transient ones.
func (s *Stage) StartPool(ctx context.Context) error {
	var children []map[string]any
	for i := range PoolSize {
		c := s.Spec(fmt.Sprintf("w%d", i+1))
		if i%2 == 1 {
			c["restart"] = "transient"
		}
		children = append(children, c)
	}
	return s.StartSupervisor(ctx, Pool, nil, children...)
}

// Operate does one operation on a child and writes it down.
func (s *Stage) Operate(ctx context.Context, kind string, child history.Key, spec any) history.Op {
	op := s.Client.Operate(ctx, kind, child, spec, s.key())
	s.did(op)
	return op
}

// key makes an idempotency key.
func (s *Stage) key() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return fmt.Sprintf("jepsen-%d-%d", s.Seed, s.requests)
}

func (s *Stage) did(op history.Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops = append(s.ops, op)
	if op.Outcome != history.OK {
		s.Log("%s of %s: %s after %d attempts: %s", op.Kind, op.Key, op.Outcome, op.Attempts, op.Detail)
	}
}

// Wanted is the set that is to run by what clients know: started, and no termination asked for. Children whose own story
// ends (temporary ones, those of a stopped supervisor) are not a Stage's.
func (s *Stage) Wanted() []history.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []history.Key
	for _, op := range s.ops {
		if op.Kind == history.OpStart && op.Outcome == history.OK {
			out = append(out, op.Key)
		}
	}
	return slices.DeleteFunc(out, func(k history.Key) bool {
		return slices.ContainsFunc(s.ops, func(op history.Op) bool {
			return op.Key == k && op.Kind == history.OpTerminate && op.Outcome != history.Refused
		})
	})
}

// Close lets the consumers come to the end, asks the cluster to leave, looks that nothing is left, and returns what was
// seen. An error says what went wrong with the end itself; the history is there all the same.
func (s *Stage) Close(ctx context.Context) (*history.History, error) {
	var errs []error
	bounded, cancel := context.WithTimeout(ctx, s.Timing.Recovery())
	if err := s.drain(bounded); err != nil {
		errs = append(errs, err)
	}
	cancel()
	s.stop()
	s.watchers.Wait()
	bounded, cancel = context.WithTimeout(ctx, s.Cluster.ShutdownTimeout+history.Boot)
	if err := s.Cluster.Stop(bounded); err != nil {
		errs = append(errs, err)
	}
	cancel()
	left, err := s.Cluster.Left()
	for _, l := range left {
		errs = append(errs, fmt.Errorf("left behind after a clean stop: %s", l))
	}
	h, err2 := s.history()
	errs = append(errs, err, err2, s.free())
	return h, errors.Join(errs...)
}

// Abandon ends everything at once and returns what was seen so far. After Close it does nothing.
func (s *Stage) Abandon() *history.History {
	s.stop()
	s.watchers.Wait()
	h, _ := s.history()
	s.free()
	return h
}

func (s *Stage) free() (err error) {
	s.freed.Do(func() {
		s.Client.Close()
		for _, c := range s.consumers {
			c.client.Close()
		}
		err = errors.Join(s.Cluster.Close(), s.Register.Close())
	})
	return err
}

func (s *Stage) history() (*history.History, error) {
	lives, err := s.Journals.Lives()
	trouble, err2 := s.Cluster.Trouble()
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &history.History{
		Timing: s.Timing, Seed: s.Seed, Rerun: s.Rerun, Nodes: s.Cluster.Names(), Lives: lives, Ops: slices.Clone(s.ops), Calls: slices.Clone(s.calls),
		Actions: s.Cluster.Actions(), Writes: s.Register.Writes(), Rounds: s.rounds, Limits: s.limits, Trouble: trouble,
		Clocks: append(slices.Clone(s.clocks), history.Sync{Mono: history.Now(), Wall: time.Now()}),
	}
	for a := range s.around {
		h.Around = append(h.Around, a)
	}
	slices.Sort(h.Around)
	for _, c := range s.consumers {
		h.Streams = append(h.Streams, c.stream())
	}
	return h, errors.Join(err, err2)
}

// Keep saves a history and the logs of the nodes, for a red run.
func (s *Stage) Keep(dir string, h *history.History, report string) error {
	if err := h.Save(dir); err != nil {
		return err
	}
	errs := []error{os.WriteFile(filepath.Join(dir, "report.txt"), []byte(report), 0o644)}
	for _, n := range s.Cluster.Names() {
		b, err := os.ReadFile(s.Cluster.Node(n).LogFile)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, n+".log"), b, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tails is the end of each node's log.
func (s *Stage) tails(lines int) string {
	text := ""
	for _, n := range s.Cluster.Names() {
		text += fmt.Sprintf("==== log of %s\n%s\n", n, s.Cluster.Node(n).Tail(lines))
	}
	return text
}
