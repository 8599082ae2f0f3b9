package leader

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// maxSelectors bounds the calls of custom selectors that have not returned, those that were given up among them.
const maxSelectors = 2 * MaxSelecting

// selectNode calls a custom selector beside the loop; Selected follows within its time limit (S29).
func (d *Driver) selectNode(a Select) {
	select {
	case d.selecting <- struct{}{}:
	default:
		d.task(func() {
			d.put(input{ev: Selected{ID: a.ID, Key: a.Key, Why: fmt.Sprintf("%d calls of custom selectors have not returned", maxSelectors)}})
		})
		return
	}
	answer := make(chan Selected, 1)
	go func() { // no task: a selector that hangs never returns, and the leadership is to end all the same
		defer func() { <-d.selecting }()
		answer <- d.callSelector(a)
	}()
	d.task(func() {
		limit := sup.SelectorTimeout.Std()
		ctx, cancel := context.WithTimeout(d.life, limit)
		defer cancel()
		select {
		case s := <-answer:
			d.put(input{ev: s})
		case <-ctx.Done():
			d.put(input{ev: Selected{ID: a.ID, Key: a.Key, Why: fmt.Sprintf("it did not answer within %s", limit)}})
		}
	})
}

// callSelector calls a custom selector; a panic is its answer.
func (d *Driver) callSelector(a Select) (s Selected) {
	s = Selected{ID: a.ID, Key: a.Key}
	defer func() {
		if v := recover(); v != nil {
			s.Node, s.Why = "", fmt.Sprintf("it panicked: %v", v)
			d.log.Error("a custom selector panicked", "selector", a.Selector, "child", a.Key.String(), "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f, ok := d.o.Selectors.Get(a.Selector)
	if !ok {
		s.Why = "it is not registered"
		return s
	}
	began := time.Now()
	n, err := f(a.Nodes, a.Child)
	if took := time.Since(began); took > sup.SelectorTimeout.Std() {
		d.log.Warn("a custom selector was slow", "selector", a.Selector, "child", a.Key.String(), "took", took)
	}
	if err != nil {
		s.Why = err.Error()
		return s
	}
	s.Node = n
	return s
}
