package node

import (
	"sync"

	"github.com/supnode/supnode/fsm"
)

// waiters hands the outcomes of requests to those who wait for them. The number of waiters is bounded by the bounds on
// requests in progress (HTTP and rpc).
type waiters struct {
	mu sync.Mutex
	m  map[string][]chan *Outcome // by request key
}

// add registers a wait for key's outcome; forget must be called when the wait is over.
func (w *waiters) add(key string) (done <-chan *Outcome, forget func()) {
	ch := make(chan *Outcome, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.m == nil {
		w.m = make(map[string][]chan *Outcome)
	}
	w.m[key] = append(w.m[key], ch)
	return ch, func() { w.remove(key, ch) }
}

func (w *waiters) remove(key string, ch chan *Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.m[key][:0:0]
	for _, c := range w.m[key] {
		if c != ch {
			rest = append(rest, c)
		}
	}
	if len(rest) == 0 {
		delete(w.m, key)
	} else {
		w.m[key] = rest
	}
}

// count is how many requests are waited for.
func (w *waiters) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.m)
}

// complete hands out outcomes; it does not block.
func (w *waiters) complete(done []fsm.Completion) {
	if len(done) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range done {
		for _, ch := range w.m[c.Key] {
			select {
			case ch <- c.Outcome:
			default: // it has one already
			}
		}
	}
}
