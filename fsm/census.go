package fsm

import sup "github.com/supnode/supnode/supervisor"

// Census is what there is, by status. The maps have an entry for every status that anything is in.
type Census struct {
	Children    map[sup.Status]int
	Supervisors map[sup.Status]int
	Nodes       map[NodeStatus]int
	Moving      int // children that are told to stop to run on another node
	ToMove      int // further children of draining nodes, and those that a Rebalance is to move
}

// Census counts everything; it looks at each child once.
func (s *State) Census() Census {
	c := Census{Children: map[sup.Status]int{}, Supervisors: map[sup.Status]int{}, Nodes: map[NodeStatus]int{}}
	for v := range s.Supervisors() {
		c.Supervisors[v.Status]++
		for _, child := range s.trees.get(v.Name).from(0) {
			if child != nil {
				c.Children[child.Status(s.clock)]++
				switch {
				case child.Why == WhyMove:
					c.Moving++
				case child.Toward != "", child.Node != "" && s.Node(child.Node).Status == MemberDraining:
					c.ToMove++
				}
			}
		}
	}
	for n := range s.Nodes() {
		c.Nodes[n.Status]++
	}
	return c
}
