// Package bareraft is three processes of hashicorp/raft over raft-boltdb that do nothing but commit entries: what a commit
// and an election cost before supnode adds anything. Raft, its transport and its store are configured as supnode does for
// the same lease; TestConfigIsTheProducts holds that.
//
// The processes are the calling program again: its main hands over to Main when IsNode says so. They end when the driver
// does. Invariant: an instant of the driver and one of a process are both CLOCK_MONOTONIC. It must not know supnode's node.
package bareraft
