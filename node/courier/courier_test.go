package courier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node/courier"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	add   = actor.DefineCall[int, int]("clerk.add")
	hold  = actor.DefineCall[int, int]("clerk.hold")
	big   = actor.DefineCall[int, string]("clerk.big")
	note  = actor.DefineCast[int]("clerk.note")
	wall  = actor.DefineCast[string]("clerk.wall")
	notes = actor.DefineCall[struct{}, []int]("clerk.notes")
	knot  = actor.DefineCast[knotted]("clerk.knot")
)

// knotted is a note that takes as long to read as untie says.
type knotted int

var untie = make(chan struct{})

func (k *knotted) UnmarshalJSON(b []byte) (err error) {
	<-untie
	*(*int)(k), err = strconv.Atoi(string(b))
	return err
}

// book is a directory that tests write.
type book struct {
	mu     sync.Mutex // guards what follows
	places map[actor.Key]courier.Place
	moved  chan struct{}
}

func (b *book) write(k actor.Key, at courier.Place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.places[k] = at
	close(b.moved)
	b.moved = make(chan struct{})
}

func (b *book) Known(k actor.Key) (courier.Place, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.places[k]
	return at, ok
}

func (b *book) Ask(_ context.Context, k actor.Key) (courier.Place, error) {
	if at, ok := b.Known(k); ok {
		return at, nil
	}
	return courier.Place{}, actor.ErrGone
}

func (b *book) Find(ctx context.Context, k actor.Key, not actor.Incarnation, woken <-chan struct{}) (courier.Place, bool, error) {
	for {
		b.mu.Lock()
		at, ok := b.places[k]
		moved := b.moved
		b.mu.Unlock()
		if ok && at.Incarnation > not {
			return at, true, nil
		}
		select {
		case <-moved:
		case <-woken:
			return courier.Place{}, false, nil
		case <-ctx.Done():
			return courier.Place{}, false, ctx.Err()
		}
	}
}

func (b *book) Missed(actor.Key, actor.Incarnation) {}

// host is a node with actors and nothing else.
type host struct {
	t       *testing.T
	name    sup.NodeName
	port    *rpc.Port
	courier *courier.Courier
	system  *actor.System
	book    *book
	open    atomic.Bool
	began   chan int      // a hold begins
	letGo   chan struct{} // a hold may end
	started chan actor.Key
	once    sync.Once
}

func newHost(t *testing.T, name sup.NodeName, b *book) *host {
	h := &host{t: t, name: name, book: b, began: make(chan int, 100), letGo: make(chan struct{}), started: make(chan actor.Key, 100)}
	h.open.Store(true)
	var err error
	if h.port, err = rpc.Open(rpc.Config{Node: name, Listen: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	type clerk struct {
		sum   int
		notes []int
	}
	w := actor.New("clerk", func(*actor.Context, struct{}) (*clerk, error) { return &clerk{}, nil })
	actor.OnCall(w, add, func(_ *actor.Context, c *clerk, n int) (int, error) { c.sum += n; return c.sum, nil })
	actor.OnCall(w, hold, func(_ *actor.Context, c *clerk, n int) (int, error) { h.began <- n; <-h.letGo; return n, nil })
	actor.OnCall(w, big, func(_ *actor.Context, c *clerk, n int) (string, error) { return strings.Repeat("x", n), nil })
	actor.OnCast(w, note, func(_ *actor.Context, c *clerk, n int) error { c.notes = append(c.notes, n); return nil })
	actor.OnCast(w, knot, func(_ *actor.Context, c *clerk, n knotted) error { c.notes = append(c.notes, int(n)); return nil })
	actor.OnCast(w, wall, func(*actor.Context, *clerk, string) error { return nil })
	actor.OnCall(w, notes, func(_ *actor.Context, c *clerk, _ struct{}) ([]int, error) { return c.notes, nil })
	reg := actor.NewRegistry()
	reg.Register(w)
	h.courier = courier.New(courier.Config{Node: name, Port: h.port, Directory: b})
	h.system = actor.NewSystem(actor.Options{Node: string(name), Registry: reg, Router: h.courier, Open: h.open.Load, Watch: h})
	h.courier.Use(h.system)
	h.port.OnMessages(h.courier.Serve)
	t.Cleanup(h.close)
	return h
}

func (h *host) close() {
	h.once.Do(func() {
		h.courier.Close()
		h.port.Close()
		h.system.Close()
	})
}

func (h *host) Started(k actor.Key, _ actor.Incarnation) { h.started <- k }
func (h *host) Ended(actor.Exit)                         {}
func (h *host) Unhandled(actor.Key, string)              {}
func (h *host) Hanging(actor.Key, actor.Incarnation)     {}

// run starts a clerk here and has the directory say so.
func (h *host) run(id string, inc actor.Incarnation) {
	h.t.Helper()
	k := actor.Key{Supervisor: "s", Child: id}
	if err := h.system.Spawn(actor.Spec{Key: k, Incarnation: inc, Behavior: "clerk"}); err != nil {
		h.t.Fatal(err)
	}
	for k != <-h.started {
	}
	h.book.write(k, courier.Place{Node: h.name, Addr: h.port.Advertise(), Incarnation: inc})
}

func pair(t *testing.T) (a, b *host) {
	shared := &book{places: map[actor.Key]courier.Place{}, moved: make(chan struct{})}
	return newHost(t, "a", shared), newHost(t, "b", shared)
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// What a handler answered does not leave the node once its lease is over: the caller learns that the outcome is unknown.
func TestRule_A2_NoAnswerLeavesPastTheLease(t *testing.T) {
	a, b := pair(t)
	b.run("w", 1)
	failed := make(chan error)
	go func() { _, err := hold.Call(bounded(t), a.system.Ref("s", "w"), 1); failed <- err }()
	<-b.began
	b.open.Store(false)
	close(b.letGo)
	if err := <-failed; !errors.Is(err, actor.ErrOutcomeUnknown) {
		t.Errorf("%v", err)
	}
}

// A stream that breaks while a call is under way makes its outcome unknown; so does word that its node is lost.
func TestRule_S41_ABrokenStreamIsAnUnknownOutcome(t *testing.T) {
	for name, breaks := range map[string]func(a, b *host){
		"the other node ends":       func(a, b *host) { b.port.Close() },
		"the other node is lost":    func(a, b *host) { a.courier.Drop("b") },
		"this node stops its lines": func(a, b *host) { a.courier.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			b.run("w", 1)
			failed := make(chan error)
			go func() { _, err := hold.Call(bounded(t), a.system.Ref("s", "w"), 1); failed <- err }()
			<-b.began
			go breaks(a, b)
			if err := <-failed; !errors.Is(err, actor.ErrOutcomeUnknown) {
				t.Errorf("%v", err)
			}
			close(b.letGo)
		})
	}
}

// A call that meets a child that has moved is sent after it, and carried out once.
func TestRule_S40_ACallFollowsItsChild(t *testing.T) {
	a, b := pair(t)
	c := newHost(t, "c", a.book)
	b.run("w", 1)
	ref := a.system.Ref("s", "w")
	if n, err := add.Call(bounded(t), ref, 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	b.system.Kill(ref.Key(), 1)
	await.True(t, "it is gone", func() bool { return b.system.Stats().Actors == 0 })
	answered := make(chan error)
	go func() {
		n, err := add.Call(bounded(t), ref, 5) // the directory still says b
		if n != 5 {
			err = fmt.Errorf("the answer is %d: %w", n, err)
		}
		answered <- err
	}()
	c.run("w", 2)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if _, err := add.Call(bounded(t), ref.PinnedTo(1), 1); !errors.Is(err, actor.ErrStale) {
		t.Errorf("its former incarnation: %v", err)
	}
	c.system.Kill(ref.Key(), 2)
	go func() { _, err := add.Call(bounded(t), ref, 5); answered <- err }()
	await.True(t, "it is gone", func() bool { return c.system.Stats().Actors == 0 })
	a.run("w", 3) // it comes home
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// Calls and casts of one sender arrive in the order sent, however many there are.
func TestRule_S42_OneSendersOrder(t *testing.T) {
	a, b := pair(t)
	b.run("w", 1)
	ref := a.system.Ref("s", "w")
	var want []int
	for i := range 5000 {
		if err := note.Cast(t.Context(), ref, i); err != nil {
			t.Fatal(err)
		}
		want = append(want, i)
		if i%1000 == 500 {
			if got, err := notes.Call(bounded(t), ref, struct{}{}); err != nil || !slices.Equal(got, want) {
				t.Fatalf("after %d: %d, %v", i+1, len(got), err)
			}
		}
	}
	if got, err := notes.Call(bounded(t), ref, struct{}{}); err != nil || !slices.Equal(got, want) {
		t.Fatalf("in the end: %d, %v", len(got), err)
	}
	if s := a.courier.Stats(); s.Lost != 0 || s.Sent < 5000 || s.Queued != 0 {
		t.Errorf("%+v", s)
	}
}

// What the former stream of a node still holds is delivered before anything that came over a newer one.
func TestRule_S42_OrderOutlivesABrokenStream(t *testing.T) {
	a, b := pair(t)
	free := sync.OnceFunc(func() { close(untie) })
	t.Cleanup(free)
	b.run("w", 1)
	send := func(m ...rpc.Message) {
		t.Helper()
		conn, err := a.port.DialMessages(bounded(t), b.port.Advertise(), "b")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for i := range m {
			m[i].Key = sup.Key{Supervisor: "s", Child: "w"}
		}
		if _, err := conn.Send(rpc.Messages{Messages: m}); err != nil {
			t.Fatal(err)
		}
	}
	send(rpc.Message{Type: "clerk.knot", Value: []byte("1")}, rpc.Message{Type: "clerk.note", Value: []byte("2")})
	await.True(t, "the first stream is served", func() bool { return b.courier.Stats().Received == 2 })
	send(rpc.Message{Type: "clerk.note", Value: []byte("3")})
	got := func() []int {
		all, err := notes.Call(bounded(t), b.system.Ref("s", "w"), struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) { // the poll's pace
		if len(got()) != 0 {
			t.Fatalf("%v came first", got())
		}
	}
	free()
	await.True(t, "all are there", func() bool { return len(got()) == 3 })
	if all := got(); !slices.Equal(all, []int{1, 2, 3}) {
		t.Errorf("%v", all)
	}
}

// What waits for a node that takes nothing is bounded, and what is lost with its stream is counted.
func TestQueuesAreBoundedAndLossesAreCounted(t *testing.T) {
	a, b := pair(t)
	b.run("w", 1)
	ref := a.system.Ref("s", "w")
	var wrong *actor.MessageError
	if _, err := big.Call(bounded(t), ref, courier.MaxValue); !errors.As(err, &wrong) || !wrong.Answer {
		t.Errorf("an answer that is too large: %v", err)
	}
	text := strings.Repeat("x", 7<<20)
	var err error
	taken := 0
	for ; err == nil && taken < 10_000; taken++ {
		err = wall.Cast(t.Context(), ref, text)
	}
	if !errors.Is(err, actor.ErrBusy) || taken > 2000 {
		t.Errorf("after %d: %v", taken, err)
	}
	if err := wall.Cast(t.Context(), ref, text+text); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "8388608 travel between nodes at most") {
		t.Errorf("a value that is too large: %v", err)
	}
	b.close()
	await.True(t, "what is sent to a dead node is refused or counted", func() bool {
		err := note.Cast(t.Context(), ref, 1)
		return errors.Is(err, actor.ErrNoNode) && a.courier.Stats().Lost > 0
	})
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := add.Call(short, ref, 1); !errors.Is(err, actor.ErrTimeout) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("a call to a dead node: %v", err)
	}
}

// A caller that gives up takes its call out of the other node's mailbox.
func TestWhatNobodyWaitsForIsNotBegun(t *testing.T) {
	a, b := pair(t)
	b.run("w", 1)
	ref := a.system.Ref("s", "w")
	go hold.Call(bounded(t), ref, 1)
	<-b.began
	for _, give := range []func(context.Context) (context.Context, context.CancelFunc){
		func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		},
		func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			go func() {
				await.True(t, "the second call is there", func() bool { return b.courier.Stats().Served == 2 })
				cancel()
			}()
			return ctx, cancel
		},
	} {
		ctx, cancel := give(t.Context())
		if _, err := hold.Call(ctx, ref, 2); !errors.Is(err, actor.ErrTimeout) && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		cancel()
		await.True(t, "the other node knows", func() bool { return b.courier.Stats().Served == 1 })
	}
	close(b.letGo)
	if n, err := add.Call(bounded(t), ref, 1); n != 1 || err != nil {
		t.Error(n, err)
	}
	if len(b.began) != 0 {
		t.Error("a call was begun that nobody waited for")
	}
}
