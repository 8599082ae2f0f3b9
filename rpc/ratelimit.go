package rpc

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// warnEvery is how often one kind of warning is logged at most.
const warnEvery = time.Second

// warning is one kind of log line that strangers can cause: one a second, the others counted.
type warning struct {
	mu         sync.Mutex // guards next and suppressed
	next       time.Time
	suppressed int
}

func (w *warning) log(l hclog.Logger, msg string, kv ...any) {
	now := time.Now()
	w.mu.Lock()
	if now.Before(w.next) {
		w.suppressed++
		w.mu.Unlock()
		return
	}
	n := w.suppressed
	w.next, w.suppressed = now.Add(warnEvery), 0
	w.mu.Unlock()
	if n > 0 {
		kv = append(kv, "more_of_the_same", n)
	}
	l.Warn(msg, kv...)
}
