package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errLost = errors.New("leadership lost while committing log")

func TestDriverLeadsAgentsAndAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, 2*time.Millisecond, "n1", "n2", "n3")
		res := r.ask("k", start("a", sup.RoundRobin, "x", "y", "z"))
		if res.Status != fsm.Pending {
			t.Fatalf("result %+v", res)
		}
		time.Sleep(time.Second) // virtual: everything that is to happen happens
		for _, c := range []string{"x", "y", "z"} {
			if p, n := r.phase(key("a", c)); p != fsm.Running {
				t.Errorf("%s is %s on %q", c, p, n)
			}
		}
		index, err := r.ReadIndex(context.Background())
		if err != nil || index == 0 {
			t.Errorf("read index %d, %v", index, err)
		}
		if left, ok := r.LeaseLeft("n2"); !ok || left < second || left > 3*second {
			t.Errorf("lease left %d, %v", left, ok)
		}
		if _, ok := r.LeaseLeft("n9"); ok {
			t.Error("n9 has a lease")
		}
		if err := r.over(); err != nil {
			t.Errorf("ended with %v", err)
		}
		if _, err := r.Ask(context.Background(), request("k2", start("b", nil))); !errors.Is(err, ErrOver) {
			t.Errorf("afterwards: %v", err)
		}
		if _, err := r.ReadIndex(context.Background()); !errors.Is(err, ErrOver) {
			t.Errorf("afterwards: %v", err)
		}
		c := newToyConn()
		r.ServeSync(c) // returns at once
		<-c.closed
	})
}

func TestDriverMovesTheChildrenOfANodeThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond, "n1", "n3")
		n2 := r.agent("n2")
		time.Sleep(time.Second)
		r.ask("k", start("a", sup.RoundRobin, "x", "y", "z"))
		time.Sleep(time.Second)
		if _, n := r.phase(key("a", "y")); n != "n2" {
			t.Fatalf("y is on %q", n)
		}
		died := time.Now()
		close(r.refuse["127.0.0.1:1"])
		n2.conn.Close()
		for {
			if p, n := r.phase(key("a", "y")); n != "n2" && p == fsm.Running {
				break
			}
			if time.Since(died) > time.Second {
				t.Fatal("not moved")
			}
			time.Sleep(100 * time.Microsecond)
		}
		if d := time.Since(died); d > 10*time.Millisecond {
			t.Errorf("moved after %s", d)
		}
		if err := r.over(); err != nil {
			t.Error(err)
		}
	})
}

func TestDriverEndsAHeldProbeWhenTheNodeIsHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond, "n1")
		n2 := r.agent("n2")
		time.Sleep(time.Second)
		n2.conn.Close()
		time.Sleep(100 * time.Millisecond)
		r.mu.Lock()
		probing := r.probing
		r.mu.Unlock()
		if probing != 1 {
			t.Errorf("%d probes", probing)
		}
		again := &toyAgent{name: "n2", conn: newToyConn(), session: n2.session}
		r.tasks.Go(again.run)
		r.tasks.Go(func() { r.ServeSync(again.conn) })
		time.Sleep(100 * time.Millisecond)
		r.mu.Lock()
		probing = r.probing
		r.mu.Unlock()
		if probing != 0 {
			t.Errorf("%d probes", probing)
		}
		time.Sleep(time.Second)
		if err := r.over(); err != nil {
			t.Error(err)
		}
		if again.grants == 0 {
			t.Error("it has no lease")
		}
	})
}

func TestDriverResignsWhenAnOutcomeIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond, "n1", "n2")
		time.Sleep(time.Second)
		r.log.mu.Lock()
		r.log.lost = true
		r.log.mu.Unlock()
		if _, err := r.Ask(context.Background(), request("k", start("a", nil))); !errors.Is(err, ErrOver) {
			t.Errorf("asked: %v", err)
		}
		if err := <-r.ended; err == nil || errors.Is(err, ErrStalled) {
			t.Errorf("ended with %v", err)
		}
		r.tasks.Wait() // every stream has ended
	})
}

func TestDriverL6StalledLog(t *testing.T) {
	for _, c := range []struct {
		what     string
		transfer func(context.Context) error
		after    time.Duration
	}{
		{"the transfer fails", func(context.Context) error { return errors.New("no peer") }, time.Second},
		{"the transfer hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 2 * time.Second},
		{"the transfer changes nothing", func(context.Context) error { return nil }, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := begin(t, time.Millisecond)
			r.transfer = c.transfer
			r.log.mu.Lock()
			r.log.hangs = true
			r.log.mu.Unlock()
			began := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			if _, err := r.ReadIndex(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: read: %v", c.what, err)
			}
			cancel()
			if err := <-r.ended; !errors.Is(err, ErrStalled) {
				t.Errorf("%s: ended with %v", c.what, err)
			}
			if d := time.Since(began); d < c.after || d > c.after+50*time.Millisecond {
				t.Errorf("%s: ended after %s", c.what, d)
			}
			r.tasks.Wait()
		})
	}
}

func TestDriverL6AHandedOverLeadershipIsNoReasonToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond)
		r.transfer = func(context.Context) error { // what was proposed fails, as Raft does it
			r.log.mu.Lock()
			defer r.log.mu.Unlock()
			r.log.lost = true
			r.log.queue = r.log.held
			time.AfterFunc(r.log.delay, r.log.commit)
			return nil
		}
		r.log.mu.Lock()
		r.log.hangs = true
		r.log.mu.Unlock()
		if _, err := r.ReadIndex(context.Background()); !errors.Is(err, ErrOver) {
			t.Errorf("read: %v", err)
		}
		if err := <-r.ended; err == nil || errors.Is(err, ErrStalled) {
			t.Errorf("ended with %v", err)
		}
		r.tasks.Wait()
	})
}

func TestDriverClosesAStreamThatSpeaksForAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond)
		a := &toyAgent{name: "n2", conn: newToyConn()}
		a.conn.peer = "n3"
		r.tasks.Go(a.run)
		r.ServeSync(a.conn)
		if err := r.over(); err != nil {
			t.Error(err)
		}
		r.log.View(func(s *fsm.State) {
			if s.Node("n2") != nil {
				t.Error("it was registered")
			}
		})
	})
}

func TestDriverClosesTheStreamOfAnAgentThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond)
		c := newToyConn()
		r.tasks.Go(func() {
			for { // it talks and never listens
				select {
				case c.toLeader <- rpc.FromAgent{Hello: &rpc.Hello{Node: "n2", Settings: settings}}:
				case <-c.closed:
					return
				}
			}
		})
		r.ServeSync(c)
		if err := r.over(); err != nil {
			t.Error(err)
		}
	})
}

// TestDriverUnderLoad runs in real time, for the race detector.
func TestDriverUnderLoad(t *testing.T) {
	r := begin(t, 200*time.Microsecond, "n1", "n2", "n3")
	r.ask("start", start("a", sup.LeastLoaded))
	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			for j := range 20 {
				k := fmt.Sprintf("k%d-%d", i, j)
				res, err := r.Ask(context.Background(), request(k, fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: child(k)}}))
				if err != nil || res.Status == fsm.Stale || res.Status == 0 {
					t.Errorf("%s: %+v, %v", k, res, err)
				}
				if _, err := r.ReadIndex(context.Background()); err != nil {
					t.Error(err)
				}
				r.LeaseLeft("n2")
			}
		})
	}
	for range 10 {
		a := r.agent("n4")
		a.conn.say(rpc.FromAgent{})
		a.conn.Close()
	}
	clients.Wait()
	if err := r.over(); err != nil {
		t.Error(err)
	}
	r.log.mu.RLock()
	defer r.log.mu.RUnlock()
	if err := r.log.st.Check(); err != nil {
		t.Error(err)
	}
	t.Logf("1000 starts and 1000 reads in %d entries", r.log.count)
}
