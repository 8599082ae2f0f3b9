package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/clock"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	// maxInputs bounds what waits for the machine; those who bring more wait.
	maxInputs = 1024
	// maxTurn bounds the events of one turn, so that Apply is not kept waiting.
	maxTurn = 256
	// MaxReads bounds the reads that wait; more are refused as busy.
	MaxReads = 16384
)

var (
	// ErrOver says that this leadership is over: whether what was asked had an effect is unknown (L4). Ask the next leader,
	// under the same key.
	ErrOver = errors.New("the leadership ended before the outcome was known")
	// ErrStalled ends Run when this leader commits nothing and could not hand leadership over: the process must end (L6).
	ErrStalled = errors.New("the leader commits nothing and could not hand over")
)

// Future is the outcome of a proposal.
type Future interface {
	// Wait returns what the entry did, once it is applied to the state that Options.View shows. Any error, ctx's too,
	// means that the outcome is unknown.
	Wait(ctx context.Context) (fsm.Applied, error)
}

// Options are what a Driver works with; all are needed.
type Options struct {
	Machine Config
	Clock   clock.Clock
	// Wall is the wall clock in Unix ns, for display only.
	Wall func() int64
	// View calls a function with the applied state, which does not change meanwhile.
	View func(func(*fsm.State))
	// Propose appends an encoded entry to the log, in the order of the calls. It may block while the log takes nothing, but
	// not for ever.
	Propose func(entry []byte) Future
	// Probe dials addr and reports whether the connection was refused. When the dial succeeds it holds the connection until
	// the other side ends it, or ctx ends; that, a time-out and any other error are no refusal (P2).
	Probe func(ctx context.Context, addr string) (refused bool)
	// Transfer hands leadership to another server; it returns when that is done or failed, or ctx ends.
	Transfer func(ctx context.Context) error
	// HandOver offers leadership to a server likewise.
	HandOver func(ctx context.Context, to sup.NodeName) error
	// Selectors are the custom selectors of this program; nil = none. Those of Machine are made of them.
	Selectors *sup.Selectors
	Logger    hclog.Logger
}

// Driver runs the Machine of one leadership: it owns the goroutine that steps it, its clock, its streams and its probes.
// Its methods may be called from any goroutine, also before Run; what they bring waits for Run.
type Driver struct {
	o   Options
	log hclog.Logger
	in  chan input

	life   context.Context // ends with Run
	cancel context.CancelFunc
	fatal  chan error

	entries chan Propose // proposed, not yet handed to the log; MaxInFlight have room
	futures chan pending // handed to the log

	serial atomic.Uint64 // numbers streams, requests and reads

	// Of the goroutine of Run.
	machine *Machine
	streams map[uint64]*outbox
	asks    map[uint64]chan<- fsm.Result
	reads   map[uint64]chan<- uint64
	probes  map[sup.NodeName]context.CancelFunc
	rang    <-chan struct{}
	unwake  func()

	mu     sync.Mutex // guards closed, tasks' growth, and leases
	closed bool
	tasks  sync.WaitGroup

	selecting chan struct{} // one taken by each custom selector that has not returned
	leases    map[sup.NodeName]Instant
	running   bool
}

// input is what the machine's goroutine is given: an event, with what the driver keeps for its answer.
type input struct {
	ev     Event
	out    *outbox           // of StreamUp
	result chan<- fsm.Result // of Asked
	index  chan<- uint64     // of ReadAsked
}

type pending struct {
	proposal uint64
	future   Future
}

// NewDriver makes the driver of one leadership, whose Establish is applied already. Nothing runs before Run.
func NewDriver(o Options) *Driver {
	life, cancel := context.WithCancel(context.Background())
	o.Machine.HasSelector = func(name string) bool { _, ok := o.Selectors.Get(name); return ok }
	return &Driver{
		selecting: make(chan struct{}, maxSelectors),
		o:         o, log: o.Logger, in: make(chan input, maxInputs), life: life, cancel: cancel, fatal: make(chan error, 1),
		entries: make(chan Propose, MaxInFlight), futures: make(chan pending, MaxInFlight),
		streams: map[uint64]*outbox{}, asks: map[uint64]chan<- fsm.Result{}, reads: map[uint64]chan<- uint64{},
		probes: map[sup.NodeName]context.CancelFunc{}, unwake: func() {}, leases: map[sup.NodeName]Instant{},
	}
}

// Run leads until ctx ends, or until it has to give up, and says why: whoever called it then hands leadership over, or
// ends the process when the error is ErrStalled. It returns nil when ctx ended it. When it returns nothing that it started
// is left, every stream is closed, and whoever waits for an outcome has ErrOver.
func (d *Driver) Run(ctx context.Context) error {
	if err := d.begin(); err != nil {
		return err
	}
	d.task(d.propose)
	d.task(d.await)
	err := d.loop(ctx)
	d.end()
	return err
}

func (d *Driver) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running || d.closed {
		return errors.New("a leadership runs once")
	}
	d.running = true
	return nil
}

// end stops everything and waits for it.
func (d *Driver) end() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.unwake()
	d.tasks.Wait()
}

// enter has the end wait for a task until tasks.Done; false when the end has come.
func (d *Driver) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.tasks.Add(1)
	}
	return !d.closed
}

// task runs f beside the loop, unless the end has come.
func (d *Driver) task(f func()) {
	if d.enter() {
		go func() {
			defer d.tasks.Done()
			f()
		}()
	}
}

// loop is the one goroutine that steps the machine.
func (d *Driver) loop(ctx context.Context) error {
	d.o.View(func(st *fsm.State) { d.machine = New(d.o.Machine, d.o.Clock.Now(), st) })
	turn := make([]Event, 0, maxTurn)
	turn = append(turn, Tick{})
	for {
		var acts []Action
		d.o.View(func(st *fsm.State) { acts = d.machine.StepAll(turn, d.o.Clock.Now(), st) })
		for _, a := range acts {
			if err := d.carryOut(a); err != nil {
				return err
			}
		}
		turn = turn[:0]
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.fatal:
			return err
		case <-d.rang:
			d.rang = nil
			turn = append(turn, Tick{})
		case in := <-d.in:
			turn = d.accept(turn, in)
		}
		for more := true; more && len(turn) < maxTurn; {
			select {
			case in := <-d.in:
				turn = d.accept(turn, in)
			default:
				more = false
			}
		}
	}
}

// accept keeps what an input's answer needs.
func (d *Driver) accept(turn []Event, in input) []Event {
	switch ev := in.ev.(type) {
	case StreamUp:
		d.streams[ev.Stream] = in.out
	case StreamDown:
		if out := d.streams[ev.Stream]; out != nil {
			delete(d.streams, ev.Stream)
			out.close()
		}
	case Asked:
		d.asks[ev.ID] = in.result
	case ReadAsked:
		if len(d.reads) >= MaxReads {
			close(in.index) // refused
			return turn
		}
		d.reads[ev.ID] = in.index
	}
	return append(turn, in.ev)
}

// carryOut does what the machine wants. It never blocks: entries has room for MaxInFlight, replies for their one answer.
func (d *Driver) carryOut(a Action) error {
	switch a := a.(type) {
	case Propose:
		d.entries <- a
	case Send:
		d.send(a)
	case CloseStream:
		if out := d.streams[a.Stream]; out != nil {
			delete(d.streams, a.Stream)
			out.close()
		}
	case Answer:
		if reply := d.asks[a.ID]; reply != nil {
			delete(d.asks, a.ID)
			reply <- a.Result
		}
	case ReadReady:
		if reply := d.reads[a.ID]; reply != nil {
			delete(d.reads, a.ID)
			reply <- a.Index
		}
	case Probe:
		d.probe(a)
	case ProbeStop:
		if stop := d.probes[a.Node]; stop != nil {
			delete(d.probes, a.Node)
			stop()
		}
	case Transfer:
		d.log.Warn("giving leadership up", "why", a.Why)
		d.task(func() {
			if err := d.o.Transfer(d.life); err != nil {
				d.fail(fmt.Errorf("%w: %w", ErrStalled, err))
			}
		})
	case HandOver:
		d.log.Info("handing leadership over", "to", a.To, "why", a.Why)
		d.task(func() {
			if err := d.o.HandOver(d.life, a.To); err != nil && d.life.Err() == nil {
				d.log.Warn("leadership was not handed over", "to", a.To, "error", err)
			}
		})
	case Resign:
		if a.Stalled {
			return fmt.Errorf("%w: %s", ErrStalled, a.Why)
		}
		return fmt.Errorf("resigned: %s", a.Why)
	case Select:
		d.selectNode(a)
	case Wake:
		d.unwake()
		d.rang, d.unwake = d.o.Clock.After(a.At)
	}
	return nil
}

// fail ends the loop with an error; the first one counts.
func (d *Driver) fail(err error) {
	select {
	case d.fatal <- err:
	default:
	}
}

// put gives the loop an input; false when the leadership is over.
func (d *Driver) put(in input) bool {
	select {
	case <-d.life.Done():
		return false
	default:
	}
	select {
	case d.in <- in:
		return true
	case <-d.life.Done():
		return false
	}
}

// propose encodes entries and hands them to the log, in order.
func (d *Driver) propose() {
	for {
		select {
		case <-d.life.Done():
			return
		case p := <-d.entries:
			p.Entry.Wall, p.Entry.Term = d.o.Wall(), d.o.Machine.Term
			b, err := fsm.Encode(p.Entry)
			if err != nil {
				d.put(input{ev: Failed{Proposal: p.Proposal, Why: err.Error()}})
				return
			}
			select {
			case d.futures <- pending{p.Proposal, d.o.Propose(b)}:
			case <-d.life.Done():
				return
			}
		}
	}
}

// await waits for the outcomes of proposals, in order.
func (d *Driver) await() {
	for {
		select {
		case <-d.life.Done():
			return
		case p := <-d.futures:
			applied, err := p.future.Wait(d.life)
			if err != nil {
				d.put(input{ev: Failed{Proposal: p.proposal, Why: err.Error()}})
				return
			}
			d.put(input{ev: Committed{Proposal: p.proposal, Applied: applied}})
		}
	}
}
