package actors

import (
	"errors"

	"github.com/supnode/supnode/actor"
)

// name is the behavior's.
const name = "bench"

var (
	crash = actor.DefineCast[struct{}]("bench.crash")
	touch = actor.DefineCast[struct{}]("bench.touch")
)

var errAsked = errors.New("asked to crash")

// behavior is a child that keeps its place of the board; its argument is the place's number.
func behavior(b *board, node int) *actor.Typed[*place] {
	t := actor.New(name, func(_ *actor.Context, i int) (*place, error) {
		p := &b.places[i]
		now(&p.start[node])
		return p, nil
	})
	actor.OnCast(t, crash, func(_ *actor.Context, p *place, _ struct{}) error {
		now(&p.crash)
		return errAsked
	})
	actor.OnCast(t, touch, func(_ *actor.Context, p *place, _ struct{}) error {
		now(&p.touched[node])
		return nil
	})
	actor.OnTerminate(t, func(_ *actor.Context, p *place, _ actor.Reason) { now(&p.stop) })
	return t
}
