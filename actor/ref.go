package actor

import (
	"context"
	"fmt"

	"github.com/supnode/supnode/actor/ref"
)

// Ref names a child wherever it runs, through restarts and moves; a pinned one means one incarnation only. See package ref
// for its methods.
type Ref = ref.Ref

// RefTo makes a ref from a name.
func RefTo(supervisor, child string) Ref { return ref.To(supervisor, child) }

// Here implements ref.Place.
func (sl *slot) Here() (Incarnation, bool) {
	if c := sl.cell.Load(); c != nil {
		return c.inc, true
	}
	return 0, false
}

// ref is a ref to the slot's child; inc pins it, 0 does not.
func (sl *slot) ref(inc Incarnation) Ref { return ref.At(sl.key, inc, sl) }

// resolve finds the node whose messages these are, and who sends.
func resolve(ctx context.Context, r Ref) (*System, *slot, *cell, error) {
	var from *cell
	if c, ok := ctx.(*Context); ok {
		from = c.cell
	} else if c, ok := ctx.Value(contextKey{}).(*Context); ok {
		from = c.cell
	}
	if sl, ok := r.Place().(*slot); ok && (from == nil || from.slot.sys == sl.sys) {
		return sl.sys, sl, from, nil
	}
	switch {
	case r.IsZero():
		return nil, nil, nil, fmt.Errorf("%w: it names no child", ErrUnbound)
	case from == nil:
		return nil, nil, nil, fmt.Errorf("%w: %s", ErrUnbound, r)
	}
	s := from.slot.sys
	return s, s.slot(r.Key()), from, nil
}
