package supervisor

// Reach are the children that run again together when those at the positions failed are down, as positions in the start
// order of n children. failed ascends and holds only children that are to run again (S4): when there is none, nothing
// happens. One call stands for one decision, be it a crash or a lost node (S23).
func (s Strategy) Reach(n int, failed ...int) []int {
	if len(failed) == 0 {
		return nil
	}
	from := 0 // one_for_all: S8
	switch s {
	case OneForOne, SimpleOneForOne: // S7
		return failed
	case RestForOne: // S9
		from = failed[0]
	}
	reach := make([]int, 0, n-from)
	for i := from; i < n; i++ {
		reach = append(reach, i)
	}
	return reach
}

// InOrder reports whether children start strictly one after another (S10).
func (s Strategy) InOrder() bool { return s == OneForAll || s == RestForOne }
