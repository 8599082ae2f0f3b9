package supervisor

import "sort"

// Candidate is a node that may take a child, with its load.
type Candidate struct {
	Name     NodeName
	Children int // slots of all supervisors that it holds, or that are being placed on it
	// Of a supervisor that spreads its children: whether the node has the tag, and how many of the children are on nodes with
	// the same value of it.
	Tagged  bool
	Sharing int
}

// Spread are the candidates whose value of the tag fewest children share; nodes without the tag are taken only when no other
// one is eligible. It keeps the order.
func Spread(eligible []Candidate) []Candidate {
	var best []Candidate
	for _, c := range eligible {
		switch {
		case len(best) > 0 && (best[0].Tagged && !c.Tagged || best[0].Tagged == c.Tagged && best[0].Sharing < c.Sharing):
			continue
		case len(best) > 0 && (best[0].Tagged != c.Tagged || best[0].Sharing > c.Sharing):
			best = best[:0]
		}
		best = append(best, c)
	}
	return best
}

// Choose picks a node for a child (S29). The candidates are eligible (S28) and sorted by name; home is the supervisor's home,
// cursor the name that round_robin chose last, draw the leader's random draw. ok is false when no candidate satisfies the
// selector: there is none, or the child is pinned elsewhere, or its selector is custom, which is not for this function.
func Choose(sel Selector, eligible []Candidate, home, cursor NodeName, draw uint64) (n NodeName, ok bool) {
	if len(eligible) == 0 {
		return "", false
	}
	switch sel.Kind {
	case SelectLocalFirst:
		if among(eligible, home) {
			return home, true
		}
		return leastLoaded(eligible), true
	case SelectLeastLoaded:
		return leastLoaded(eligible), true
	case SelectRoundRobin:
		i := sort.Search(len(eligible), func(i int) bool { return eligible[i].Name > cursor })
		return eligible[i%len(eligible)].Name, true
	case SelectRandom:
		return eligible[draw%uint64(len(eligible))].Name, true
	case SelectNode:
		if among(eligible, sel.Node) {
			return sel.Node, true
		}
		if sel.Fallback != "" {
			return Choose(Selector{Kind: sel.Fallback}, eligible, home, cursor, draw)
		}
	}
	return "", false
}

// MovesCursor reports whether the choice of n by this selector moves the supervisor's round_robin cursor to it (S29).
func (s Selector) MovesCursor(n NodeName) bool {
	return s.Kind == SelectRoundRobin || s.Kind == SelectNode && s.Fallback == SelectRoundRobin && n != s.Node
}

// Pinned reports whether the selector never takes another node than s.Node (S26).
func (s Selector) Pinned() bool { return s.Kind == SelectNode && s.Fallback == "" }

func among(eligible []Candidate, n NodeName) bool {
	i := sort.Search(len(eligible), func(i int) bool { return eligible[i].Name >= n })
	return i < len(eligible) && eligible[i].Name == n
}

func leastLoaded(eligible []Candidate) NodeName {
	best := eligible[0]
	for _, c := range eligible[1:] {
		if c.Children < best.Children {
			best = c
		}
	}
	return best.Name
}
