package actors

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// argument makes the program a node.
const argument = "actors-node"

// patience bounds one request of the driver.
const patience = 2 * time.Minute

// request is one line from the driver: one of these.
type request struct {
	Start *Pool    `json:",omitempty"`
	Load  *load    `json:",omitempty"`
	Crash *sup.Key `json:",omitempty"`
	Touch *Pool    `json:",omitempty"`
}

// Pool is a supervisor whose children are w0, w1, …, with places from First on.
type Pool struct {
	Name     sup.Name
	First, N int
	Pin      sup.NodeName // the children's node; empty: round_robin
}

// load is callers that start children, one after another each.
type load struct {
	Pool
	Callers int
}

// answer is one line to the driver.
type answer struct {
	Ready  bool            // the first line
	Took   []time.Duration `json:",omitempty"`
	For    time.Duration
	Leader sup.NodeName
	Error  string
}

// IsNode reports whether this process was started to be a node.
func IsNode() bool { return len(os.Args) > 1 && os.Args[1] == argument }

// Main is a node. It leaves at a TERM, and ends at once when the driver is gone.
func Main() error {
	f := flag.NewFlagSet(argument, flag.ContinueOnError)
	self := f.Int("node", 0, "0 is n1")
	dir := f.String("dir", "", "of the cluster")
	size := f.Int("places", 0, "of the board")
	servers := f.String("servers", "", "addresses of n1, n2, …, with commas")
	ttl := f.Duration("ttl", 0, "lease_ttl")
	h := f.Duration("h", 0, "heartbeat_interval")
	failover := f.String("failover", "loopback", "fast_failover")
	profiles := f.String("profiles", "", "a folder for a CPU profile")
	if err := f.Parse(os.Args[2:]); err != nil {
		return err
	}
	if *profiles != "" {
		end, err := profile(filepath.Join(*profiles, fmt.Sprintf("%s-%d.cpu", nodeName(*self), os.Getpid())))
		if err != nil {
			return err
		}
		defer end()
	}
	b, err := openBoard(filepath.Join(*dir, "board"), *size)
	if err != nil {
		return err
	}
	id := nodeName(*self)
	diary, err := os.OpenFile(filepath.Join(*dir, string(id)+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	cfg := node.Config{
		Name: id, DataDir: filepath.Join(*dir, string(id)), HeartbeatInterval: *h, LeaseTTL: *ttl, FastFailover: *failover,
		ShutdownTimeout: time.Minute, Behaviors: actor.NewRegistry(),
		Logger: hclog.New(&hclog.LoggerOptions{Name: string(id), Output: diary, Level: hclog.Info}),
	}
	for i, addr := range strings.Split(*servers, ",") {
		cfg.Servers = append(cfg.Servers, node.Server{Name: nodeName(i), Addr: addr})
		if i == *self {
			cfg.RPC.Listen = addr
		}
	}
	cfg.Behaviors.Register(behavior(b, *self))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return err
	}
	p := &process{node: n, out: json.NewEncoder(os.Stdout)}
	served := make(chan error, 1)
	go func() { served <- p.serve() }()
	select {
	case <-ctx.Done():
		return n.Leave(context.Background())
	case <-n.Done():
		return n.Err()
	case err := <-served:
		return errors.Join(err, n.Close())
	}
}

// profile writes a CPU profile to path until end is called.
func profile(path string) (end func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}

func nodeName(i int) sup.NodeName { return sup.NodeName(fmt.Sprintf("n%d", i+1)) }

type process struct {
	node *node.Node
	out  *json.Encoder
}

func (p *process) serve() error {
	for !p.node.Ready().Ready {
		time.Sleep(5 * time.Millisecond)
	}
	if err := p.out.Encode(answer{Ready: true}); err != nil {
		return err
	}
	in := json.NewDecoder(os.Stdin)
	for {
		var r request
		if err := in.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		a, err := p.do(ctx, r)
		cancel()
		if a.Leader = p.node.Status().Leader; err != nil {
			a.Error = err.Error()
		}
		if err := p.out.Encode(a); err != nil {
			return err
		}
	}
}

func (p *process) do(ctx context.Context, r request) (a answer, err error) {
	began := time.Now()
	switch {
	case r.Start != nil:
		_, err = p.node.Do(ctx, fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: r.Start.spec(r.Start.N), Home: p.node.Name()}}, "")
		a.For = time.Since(began)
	case r.Load != nil:
		a, err = p.load(ctx, r.Load)
	case r.Crash != nil:
		err = crash.Cast(ctx, p.node.Ref(r.Crash.Supervisor, r.Crash.Child), struct{}{})
	case r.Touch != nil:
		for i := range r.Touch.N {
			_ = touch.Cast(ctx, p.node.Ref(r.Touch.Name, r.Touch.child(i).ID), struct{}{}) // most do not run here
		}
	}
	return a, err
}

// load starts the children of a pool that is there already.
func (p *process) load(ctx context.Context, l *load) (a answer, err error) {
	began := time.Now()
	took := make([][]time.Duration, l.Callers)
	errs := make([]error, l.Callers)
	var callers sync.WaitGroup
	for c := range l.Callers {
		callers.Go(func() {
			for i := c; i < l.N; i += l.Callers {
				spec, before := l.child(i), time.Now()
				if _, errs[c] = p.node.Do(ctx, fsm.Command{StartChild: &fsm.StartChild{Supervisor: l.Name, Spec: &spec}}, ""); errs[c] != nil {
					return
				}
				took[c] = append(took[c], time.Since(before))
			}
		})
	}
	callers.Wait()
	a.For = time.Since(began)
	for _, t := range took {
		a.Took = append(a.Took, t...)
	}
	return a, errors.Join(errs...)
}

// spec is the pool's manifest, with its first n children.
func (p *Pool) spec(n int) sup.Spec {
	s := sup.Spec{Name: p.Name, Selector: sup.RoundRobin, Intensity: &sup.Intensity{MaxRestarts: sup.MaxRestartsLimit, Within: sup.Duration(time.Second)}}
	if p.Pin != "" {
		s.Selector = &sup.Selector{Kind: sup.SelectNode, Node: p.Pin}
	}
	for i := range n {
		s.Children = append(s.Children, p.child(i))
	}
	return s.WithDefaults()
}

func (p *Pool) child(i int) sup.ChildSpec {
	return sup.ChildSpec{ID: childID(i), Behavior: name, Args: []json.RawMessage{fmt.Append(nil, p.First+i)}}.WithDefaults()
}

func childID(i int) sup.ChildID { return sup.ChildID(fmt.Sprintf("w%d", i)) }
