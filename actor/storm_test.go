package actor_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/supnode/supnode/actor"
)

// Callers go on while the child is stopped, killed, crashes and starts again: whatever a caller is told is true (S41), and
// no two incarnations ever run at once.
func TestRule_S41_StormOfRestarts(t *testing.T) {
	r := newRig(t)
	r.ends = make(chan actor.Reason, 100_000)
	const callers, rounds = 4, 150
	var alive atomic.Int32
	var all sync.WaitGroup
	quit := make(chan struct{})
	for range callers {
		all.Go(func() {
			ref := r.s.Ref("s", "w")
			for {
				select {
				case <-quit:
					return
				default:
				}
				var ran atomic.Int32
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(3)+1)*time.Millisecond)
				_, err := do.Call(ctx, ref, doing{func(c *actor.Context, s *state) (int, error) {
					if alive.Add(1) != 1 {
						t.Error("two handlers at once")
					}
					defer alive.Add(-1)
					ran.Add(1)
					if rand.IntN(50) == 0 {
						panic("now and then")
					}
					return 1, nil
				}})
				cancel()
				n := ran.Load()
				var p *actor.PanicError
				switch {
				case err == nil || errors.As(err, &p):
					if n != 1 {
						t.Errorf("%v, and it ran %d times", err, n)
					}
				case errors.Is(err, actor.ErrTimeout), errors.Is(err, actor.ErrOutcomeUnknown):
					if n > 1 {
						t.Errorf("%v, and it ran %d times", err, n)
					}
				default:
					t.Errorf("unexpected: %v", err)
				}
				note.Cast(context.Background(), ref, 0)
			}
		})
	}
	for inc := 1; inc <= rounds; inc++ {
		wantErr(t, r.s.Spawn(r.spec("w", inc)), nil)
		switch inc % 3 {
		case 0:
			r.s.Kill(key("w"), actor.Incarnation(inc))
		case 1:
			r.s.Stop(key("w"), actor.Incarnation(inc), time.Second)
		case 2:
			r.wait("started w " + strconv.Itoa(inc))
			r.s.Stop(key("w"), actor.Incarnation(inc), 0)
		}
		r.exit("w", inc)
	}
	close(quit)
	all.Wait()
	want(t, "left", r.s.Stats().Actors, 0)
}

// here is a router that knows one child elsewhere, and that all others belong to this node.
type here struct {
	r    *rig
	mu   sync.Mutex // guards casts and chain
	cast []any
	hops []actor.Hop
}

func (h *here) Cast(_ context.Context, to actor.Ref, m actor.Message) error {
	if to.Key() != key("far") {
		return actor.ErrHere
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cast = append(h.cast, m.Value)
	return nil
}

func (h *here) Call(ctx context.Context, to actor.Ref, m actor.Message, chain []actor.Hop, reply any) error {
	if to.Key() != key("far") {
		woken, release, err := h.r.s.Woken(to)
		if err != nil {
			return err
		}
		defer release()
		select {
		case <-woken:
			return actor.ErrHere
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hops = chain
	*reply.(*int) = 2 * m.Value.(int)
	return nil
}

func TestARouterCarriesWhatIsNotHere(t *testing.T) {
	h := &here{}
	r := newRig(t, func(o *actor.Options) { o.Router = h })
	h.r = r
	far, near := r.s.Ref("s", "far"), r.s.Ref("s", "near")
	wantErr(t, note.Cast(t.Context(), far, 3), nil)
	want(t, "cast", len(h.cast), 1)
	n, err := add.Call(t.Context(), far, 21)
	wantErr(t, err, nil)
	want(t, "answer", n, 42)
	wantErr(t, note.Cast(t.Context(), near, 1), actor.ErrGone)
	wantErr(t, note.Cast(t.Context(), near.PinnedTo(4), 1), actor.ErrStale)
	answer := make(chan int)
	go func() {
		n, err := add.Call(r.bounded(), near, 1)
		wantErr(t, err, nil)
		answer <- n
	}()
	r.spawn("near", 5)
	want(t, "waited for here", <-answer, 1)
	_, err = r.run(near, func(c *actor.Context, _ *state) (int, error) { return add.Call(c, far, 1) })
	wantErr(t, err, nil)
	want(t, "hops", len(h.hops), 1)
	want(t, "the caller itself", h.hops[0], actor.Hop{Key: key("near"), Incarnation: 5})
}
