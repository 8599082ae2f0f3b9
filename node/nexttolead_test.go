package node

import (
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// An election is begun early by at most one server, and only if a majority finds the leader gone and nobody doubts it.
func TestWhoIsNextToLead(t *testing.T) {
	gone := func(last uint64) goneReply { return goneReply{Gone: true, LastIndex: last} }
	for _, c := range []struct {
		name    string
		me      sup.NodeName
		own     goneReply
		others  map[sup.NodeName]goneReply
		servers int
		want    bool
	}{
		{"equal logs: the first by name", "n1", gone(7), map[sup.NodeName]goneReply{"n2": gone(7)}, 3, true},
		{"equal logs: not the second", "n2", gone(7), map[sup.NodeName]goneReply{"n1": gone(7)}, 3, false},
		{"the longest log, whatever its name", "n2", gone(8), map[sup.NodeName]goneReply{"n1": gone(7)}, 3, true},
		{"a shorter log", "n1", gone(7), map[sup.NodeName]goneReply{"n2": gone(8)}, 3, false},
		{"one of two is no majority", "n1", gone(7), nil, 2, false},
		{"alone among three: the other does not answer", "n1", gone(7), nil, 3, false},
		{"three of five, one silent", "n1", gone(7), map[sup.NodeName]goneReply{"n3": gone(7), "n4": gone(6)}, 5, true},
		{"two of five", "n1", gone(7), map[sup.NodeName]goneReply{"n3": gone(7)}, 5, false},
		{"one reaches the leader, or takes part in an election", "n1", gone(7), map[sup.NodeName]goneReply{"n3": gone(7), "n4": gone(6), "n5": {LastIndex: 7}}, 5, false},
	} {
		if got := nextToLead(c.me, c.own, c.others, c.servers); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
