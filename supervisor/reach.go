package supervisor

// Reach says which children run again together with the one that is at place failed in the start order, counted from 1, when
// it is to run again (S4): those from the place from on; alone says that it concerns no other child. One call stands for one
// decision, be it a crash or a lost node, of which failed is then the first child affected (S23).
func (s Strategy) Reach(failed uint64) (from uint64, alone bool) {
	switch s {
	case OneForAll: // S8
		return 1, false
	case RestForOne: // S9
		return failed, false
	}
	return failed, true // S7, S34
}

// InOrder reports whether children start strictly one after another (S10).
func (s Strategy) InOrder() bool { return s == OneForAll || s == RestForOne }

// Valid reports whether s is one of the four strategies.
func (s Strategy) Valid() bool {
	return s == OneForOne || s == OneForAll || s == RestForOne || s == SimpleOneForOne
}
