// Package model is a second, small supervisor of the whole cluster: a plain transcription of docs/supervision.md that knows
// nothing of the log, of the slot guard's records or of how package fsm comes to its decisions. TestModel plays random
// stories to both and compares all that a reader can see after every entry; what they disagree about is a bug of one of them.
//
// A Cluster is told what the log tells the FSM: requests of clients, reports of nodes, placements. It decides nothing about
// placement: any eligible node that an entry names is right (S30).
//
// Every rule has one place here. A supervisor works off marks on its children: halt (this one is to be down first, in
// reverse order) and due (this one is to run, in order). Starts, group restarts, restarts by hand and stops are nothing but
// ways to set marks, and advance does what the marks ask for. A manifest that is applied gives children a part: to go, to be
// replaced, to begin. A plan of a rebalance is not made but judged.
//
// Play runs a story as text, one entry a line; testdata holds the stories that once showed a difference.
package model
