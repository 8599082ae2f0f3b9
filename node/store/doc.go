// Package store keeps what Raft must not lose: its log, its term and vote, and its snapshots, in one directory.
//
// It is the seam behind which the log store can be exchanged (Log). What it keeps: a failed write is the end. A node
// that went on after one would flap between stepping down and being elected, or forget a vote, so the first error of any write, and of
// any read that should have succeeded, is handed to Options.Fatal once and answered by the same error ever after. And nothing damaged is
// started from: Open reads the newest snapshot whole, and says what to do when it is not what was written.
//
//	s, err := store.Open(store.Options{Dir: dir, Logger: log, Fatal: exit})
//	r, err := raft.NewRaft(conf, fsm, s.Log(), s.Stable(), s.Snapshots(), transport)
//	…
//	err = s.Close() // after Raft's shutdown
package store
