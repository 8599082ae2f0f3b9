package supervisor

import (
	"encoding/json"
	"strconv"
)

// NthChild is the id of the nth child that a simple_one_for_one supervisor starts: child_1, child_2, … (S34).
func NthChild(n uint64) ChildID { return ChildID("child_" + strconv.FormatUint(n, 10)) }

// Make is the spec of a child made from the template c: the template's args, followed by those of the call (S34).
func (c ChildSpec) Make(id ChildID, args [][]byte) ChildSpec {
	c.ID = id
	c.Args = c.Args[:len(c.Args):len(c.Args)]
	for _, a := range args {
		c.Args = append(c.Args, json.RawMessage(a))
	}
	return c
}

// Keeps reports whether a child that ended for good stays listed as exited (S2); simple_one_for_one removes it (S34).
func (s Strategy) Keeps() bool { return s != SimpleOneForOne }
