package leader

import (
	"context"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// Ask proposes a client's request and returns its result at the commit: OK, Refused, or Pending when its outcome follows
// under the request's key. The error is ErrOver or ctx's; then the outcome is unknown.
func (d *Driver) Ask(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	reply := make(chan fsm.Result, 1)
	return ask(ctx, d, input{ev: Asked{ID: d.serial.Add(1), Command: c}, result: reply}, reply)
}

// ReadIndex returns the index up to which a state must be applied to answer a read that begins now (R1). The error is
// ErrOver, ctx's, or a *supervisor.Problem when too many reads wait.
func (d *Driver) ReadIndex(ctx context.Context) (uint64, error) {
	reply := make(chan uint64, 1)
	index, err := ask(ctx, d, input{ev: ReadAsked{ID: d.serial.Add(1)}, index: reply}, reply)
	if err == nil && index == 0 {
		return 0, &sup.Problem{Code: sup.CodeBusy, Bound: MaxReads, Detail: "the leader has too many reads waiting; try again later"}
	}
	return index, err
}

func ask[T any](ctx context.Context, d *Driver, in input, reply <-chan T) (answer T, err error) {
	select {
	case d.in <- in:
	case <-d.life.Done():
		return answer, ErrOver
	case <-ctx.Done():
		return answer, ctx.Err()
	}
	select {
	case answer = <-reply:
		return answer, nil
	case <-ctx.Done():
		return answer, ctx.Err()
	case <-d.life.Done():
	}
	select {
	case answer = <-reply:
		return answer, nil
	default:
		return answer, ErrOver
	}
}

// LeaseLeft is how much of its lease a node has at most, in ns, by this leader's last grant; false when it granted none.
// It may be negative. It does not wait for the loop.
func (d *Driver) LeaseLeft(n sup.NodeName) (left int64, ok bool) {
	d.mu.Lock()
	until, ok := d.leases[n]
	d.mu.Unlock()
	if !ok {
		return 0, false
	}
	return until - d.o.Clock.Now(), true
}
