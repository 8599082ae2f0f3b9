package supervisor

import "fmt"

// NodeName names a cluster member; it matches [a-z0-9-]{1,63} and never changes.
type NodeName string

// Name names a supervisor; it matches [A-Za-z0-9_-]{1,128}. A sub-supervisor's name is its path, SUP/ID.
type Name string

// ChildID names a child within its supervisor; it matches [A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}.
type ChildID string

// Key names a child in the cluster.
type Key struct {
	Supervisor Name    `json:"supervisor" cbor:"1,keyasint"`
	Child      ChildID `json:"child" cbor:"2,keyasint"`
}

func (k Key) String() string { return string(k.Supervisor) + "/" + string(k.Child) }

// Session is (g, σ): one registration of a node with the cluster (protocol.md, Names).
// Gen is the cluster generation; Seq counts registrations and never falls within a generation.
type Session struct {
	Gen uint64 `json:"gen" cbor:"1,keyasint"`
	Seq uint64 `json:"seq" cbor:"2,keyasint"`
}

// IsZero reports whether s names no session.
func (s Session) IsZero() bool { return s == Session{} }

// Less orders sessions by (Gen, Seq).
func (s Session) Less(t Session) bool {
	if s.Gen != t.Gen {
		return s.Gen < t.Gen
	}
	return s.Seq < t.Seq
}

func (s Session) String() string { return fmt.Sprintf("%d.%d", s.Gen, s.Seq) }

// Incarnation is (g, e): the placement of a child by the log entry with index e in generation g.
// It is totally ordered and is the child's fencing token.
type Incarnation struct {
	Gen   uint64 `json:"gen" cbor:"1,keyasint"`
	Index uint64 `json:"index" cbor:"2,keyasint"`
}

// IsZero reports whether i names no incarnation.
func (i Incarnation) IsZero() bool { return i == Incarnation{} }

// Less orders incarnations by (Gen, Index).
func (i Incarnation) Less(j Incarnation) bool {
	if i.Gen != j.Gen {
		return i.Gen < j.Gen
	}
	return i.Index < j.Index
}

// Token is the incarnation as programs see it: one integer g·2^40 + e, below 2^53.
func (i Incarnation) Token() uint64 { return i.Gen<<tokenShift + i.Index }

// tokenShift is where the generation begins in a token.
const tokenShift = 40

// IncarnationOf is the incarnation with a token.
func IncarnationOf(token uint64) Incarnation {
	return Incarnation{Gen: token >> tokenShift, Index: token & (1<<tokenShift - 1)}
}

func (i Incarnation) String() string { return fmt.Sprintf("%d.%d", i.Gen, i.Index) }
