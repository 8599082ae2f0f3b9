package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/supnode/supnode/actor"
)

// Each benchmark has its bare limit, a channel or a goroutine, beside it in the same run.

var (
	tick   = actor.DefineCast[*int]("bench.tick")
	ping   = actor.DefineCall[int, int]("bench.ping")
	settle = actor.DefineCall[struct{}, struct{}]("bench.sync")
)

func benchSystem(b testing.TB) *actor.System {
	w := actor.New("bench", func(*actor.Context, struct{}) (*state, error) { return &state{}, nil })
	actor.OnCast(w, tick, func(_ *actor.Context, s *state, _ *int) error { s.n++; return nil })
	actor.OnCall(w, ping, func(_ *actor.Context, _ *state, n int) (int, error) { return n, nil })
	actor.OnCall(w, settle, func(*actor.Context, *state, struct{}) (struct{}, error) { return struct{}{}, nil })
	reg := actor.NewRegistry()
	reg.Register(w)
	var deadline atomic.Int64
	start := time.Now()
	deadline.Store(int64(time.Hour))
	s := actor.NewSystem(actor.Options{Registry: reg, Open: func() bool { return int64(time.Since(start)) < deadline.Load() }})
	b.Cleanup(s.Close)
	return s
}

func benchRef(b *testing.B, s *actor.System, i int) actor.Ref {
	id := fmt.Sprint("w", i)
	if err := s.Spawn(actor.Spec{Key: key(id), Incarnation: 1, Behavior: "bench"}); err != nil {
		b.Fatal(err)
	}
	ref := s.Ref("s", id)
	if _, err := settle.Call(context.Background(), ref, struct{}{}); err != nil {
		b.Fatal(err)
	}
	return ref
}

// casts has pairs of senders and receivers; a sender that meets a full mailbox yields.
func casts(b *testing.B, pairs int) {
	s := benchSystem(b)
	var refs []actor.Ref
	for i := range pairs {
		refs = append(refs, benchRef(b, s, i))
	}
	v := new(int)
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for _, ref := range refs {
		all.Go(func() {
			ctx := context.Background()
			for i := 0; i < b.N/pairs+1; {
				switch err := tick.Cast(ctx, ref, v); {
				case err == nil:
					i++
				case errors.Is(err, actor.ErrBusy):
					runtime.Gosched()
				default:
					b.Error(err)
					return
				}
			}
			settle.Call(ctx, ref, struct{}{})
		})
	}
	all.Wait()
}

func channels(b *testing.B, pairs int) {
	v := new(int)
	b.ReportAllocs()
	var all sync.WaitGroup
	for range pairs {
		ch := make(chan any, 1000)
		all.Go(func() {
			for range b.N/pairs + 1 {
				ch <- v
			}
			close(ch)
		})
		all.Go(func() {
			n := 0
			for range ch {
				n++
			}
		})
	}
	all.Wait()
}

func BenchmarkCast1(b *testing.B)    { casts(b, 1) }
func BenchmarkChannel1(b *testing.B) { channels(b, 1) }
func BenchmarkCast8(b *testing.B)    { casts(b, 8) }
func BenchmarkChannel8(b *testing.B) { channels(b, 8) }

func BenchmarkCall(b *testing.B) {
	s := benchSystem(b)
	ref := benchRef(b, s, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ping.Call(context.Background(), ref, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChannelRoundTrip(b *testing.B) {
	type ask struct {
		n     int
		reply chan int
	}
	ch := make(chan ask)
	done := make(chan struct{})
	go func() {
		for a := range ch {
			a.reply <- a.n
		}
		close(done)
	}()
	reply := make(chan int, 1)
	b.ReportAllocs()
	for b.Loop() {
		ch <- ask{1, reply}
		<-reply
	}
	close(ch)
	<-done
}

// BenchmarkRatios sets calls and casts against channels in turns, so that what else the machine does meets both, and reports
// the best of each kind as a ratio (G9).
func BenchmarkRatios(b *testing.B) {
	const turns, each = 12, 20_000
	s := benchSystem(b)
	var refs []actor.Ref
	for i := range 8 {
		refs = append(refs, benchRef(b, s, i))
	}
	ctx, v := context.Background(), new(int)
	cast := func(pairs int) {
		var all sync.WaitGroup
		for _, ref := range refs[:pairs] {
			all.Go(func() {
				for i := 0; i < each/pairs; {
					if err := tick.Cast(ctx, ref, v); err == nil {
						i++
					} else {
						runtime.Gosched()
					}
				}
				settle.Call(ctx, ref, struct{}{})
			})
		}
		all.Wait()
	}
	channel := func(pairs int) {
		var all sync.WaitGroup
		for range pairs {
			ch := make(chan any, 1000)
			all.Go(func() {
				for range each / pairs {
					ch <- v
				}
				close(ch)
			})
			all.Go(func() {
				for range ch {
				}
			})
		}
		all.Wait()
	}
	kinds := []struct {
		name      string
		run, bare func()
	}{
		{"call/channel", func() {
			for range each {
				ping.Call(ctx, refs[0], 1)
			}
		}, func() {
			ask, reply := make(chan int), make(chan int, 1)
			go func() {
				for n := range ask {
					reply <- n
				}
			}()
			for i := range each {
				ask <- i
				<-reply
			}
			close(ask)
		}},
		{"cast1/channel", func() { cast(1) }, func() { channel(1) }},
		{"cast8/channel", func() { cast(8) }, func() { channel(8) }},
	}
	for b.Loop() {
		for _, k := range kinds {
			best := [2]time.Duration{time.Hour, time.Hour}
			for range turns {
				for i, f := range []func(){k.run, k.bare} {
					began := time.Now()
					f()
					best[i] = min(best[i], time.Since(began))
				}
			}
			b.ReportMetric(float64(best[0])/float64(best[1]), k.name)
		}
	}
}

func BenchmarkSpawn(b *testing.B) {
	s := benchSystem(b)
	ids := make([]actor.Key, b.N)
	for i := range ids {
		ids[i] = key(fmt.Sprint("w", i))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, k := range ids {
		if err := s.Spawn(actor.Spec{Key: k, Incarnation: 1, Behavior: "bench", InitTimeout: time.Minute}); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

func BenchmarkGoroutine(b *testing.B) {
	var all sync.WaitGroup
	quit := make(chan struct{})
	b.ReportAllocs()
	for range b.N {
		ch := make(chan any, 1)
		all.Go(func() {
			select {
			case <-ch:
			case <-quit:
			}
		})
	}
	b.StopTimer()
	close(quit)
	all.Wait()
}

// An actor at rest, once it has handled a message, costs about 250 bytes, its key included; the bound is the goal (G7). There
// is no init timeout here: when the runtime frees a timer that was stopped is its own affair.
func TestAnIdleActorIsSmall_G7(t *testing.T) {
	const n, idleBound = 20_000, 300
	s := benchSystem(t)
	before := heap()
	for i := range n {
		k := key(fmt.Sprint("w", i))
		if err := s.Spawn(actor.Spec{Key: k, Incarnation: 1, Behavior: "bench"}); err != nil {
			t.Fatal(err)
		}
		if _, err := settle.Call(context.Background(), s.Ref("s", fmt.Sprint("w", i)), struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	each := int64(heap()-before) / n
	t.Logf("%d bytes an actor (cell %d, slot %d)", each, actor.CellBytes, actor.SlotBytes)
	if each > idleBound && !raceEnabled {
		t.Errorf("an idle actor costs %d bytes", each)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
