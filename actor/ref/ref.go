package ref

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Ref names a child wherever it runs, through restarts and moves; a pinned one means one incarnation only. Refs of one node
// can be compared with == and be keys of maps. A ref that was unmarshaled, or made by To, knows no node yet: inside an
// actor it works as it is, elsewhere actor's System.Bind gives it one; to compare such refs use Equal.
type Ref struct {
	key         Key
	incarnation Incarnation // 0 = whichever runs
	place       Place       // nil = unbound
}

// Place is where a bound ref's messages go; it belongs to one node, and is the same for all refs of that node to one child.
type Place interface {
	// Here is the incarnation of the child that runs on this node now; false when none does.
	Here() (Incarnation, bool)
}

// To makes a ref from a name. It is not bound to a node.
func To(supervisor, child string) Ref { return Ref{key: Key{supervisor, child}} }

// At is a ref bound to a place; inc pins it, 0 does not.
func At(k Key, inc Incarnation, p Place) Ref { return Ref{k, inc, p} }

// Key is the name of the child.
func (r Ref) Key() Key { return r.key }

// Incarnation is the one that a pinned ref means; 0 for a ref that is not pinned.
func (r Ref) Incarnation() Incarnation { return r.incarnation }

// Place is where the messages of a bound ref go; nil for one that is not bound.
func (r Ref) Place() Place { return r.place }

// IsZero reports whether r names no child.
func (r Ref) IsZero() bool { return r.key == Key{} }

// Equal reports whether two refs name the same child, and the same incarnation if they are pinned.
func (r Ref) Equal(o Ref) bool { return r.key == o.key && r.incarnation == o.incarnation }

// Pinned returns a ref to the incarnation that runs on this node now; once that has ended, it answers ErrStale. It reports
// false when none runs here. The ref of an actor's own Context pins that actor's incarnation.
func (r Ref) Pinned() (Ref, bool) {
	if r.incarnation != 0 {
		return r, true
	}
	if r.place == nil {
		return Ref{}, false
	}
	inc, ok := r.place.Here()
	if !ok {
		return Ref{}, false
	}
	r.incarnation = inc
	return r, true
}

// PinnedTo returns a ref to one incarnation.
func (r Ref) PinnedTo(inc Incarnation) Ref {
	r.incarnation = inc
	return r
}

func (r Ref) String() string {
	if r.incarnation != 0 {
		return fmt.Sprintf("%s@%d", r.key, r.incarnation)
	}
	return r.key.String()
}

type refJSON struct {
	Key
	Incarnation Incarnation `json:"incarnation,omitempty"`
}

// MarshalJSON implements json.Marshaler: {"supervisor": …, "child": …}, and "incarnation" when pinned.
func (r Ref) MarshalJSON() ([]byte, error) { return json.Marshal(refJSON{r.key, r.incarnation}) }

// UnmarshalJSON implements json.Unmarshaler. The ref is not bound to a node.
func (r *Ref) UnmarshalJSON(raw []byte) error {
	var j refJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return err
	}
	if (j.Supervisor == "") != (j.Child == "") {
		return errors.New("a ref names a supervisor and a child")
	}
	*r = Ref{key: j.Key, incarnation: j.Incarnation}
	return nil
}
