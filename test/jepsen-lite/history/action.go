package history

import "slices"

// The things that are done to a node's processes and links, and those that it does unasked.
const (
	Started         = "start"          // supnode was started
	Killed          = "kill"           // kill -9 of supnode
	Paused          = "stop"           // SIGSTOP of supnode
	Resumed         = "cont"           // SIGCONT of supnode
	Termed          = "term"           // SIGTERM of supnode
	GuardianKilled  = "kill guardian"  //
	GuardianPaused  = "stop guardian"  //
	GuardianResumed = "cont guardian"  //
	Frozen          = "stop commands"  // SIGSTOP of every command on the node
	Thawed          = "cont commands"  //
	Cut             = "cut"            // links of the node
	Joined          = "join"           // links of the node
	Exited          = "exit"           // supnode ended by itself; Detail says how
	Reaped          = "exit (ordered)" // supnode ended after a kill or a TERM
)

// Action is one thing done to a node.
type Action struct {
	At     Instant `json:"at"`
	Node   string  `json:"node"`
	What   string  `json:"what"`
	Detail string  `json:"detail,omitempty"`
}

// spans pairs the actions of a node that open with those that close.
func spans(actions []Action, node string, open, shut []string) []Interval {
	var out []Interval
	running := false
	for _, a := range actions {
		switch {
		case a.Node != node:
		case !running && slices.Contains(open, a.What):
			out = append(out, Interval{From: a.At})
			running = true
		case running && slices.Contains(shut, a.What):
			out[len(out)-1].To = a.At
			running = false
		}
	}
	return out
}

// Unfenced are the spans in which nothing on the node could keep its lease's promise: its guardian was paused while its
// supnode was dead or paused (protocol.md, What is not promised).
func Unfenced(actions []Action, node string) []Interval {
	guardian := spans(actions, node, []string{GuardianPaused}, []string{GuardianResumed, GuardianKilled})
	main := spans(actions, node, []string{Paused, Killed}, []string{Resumed, Started})
	var out []Interval
	for _, g := range guardian {
		for _, m := range main {
			if both, ok := g.And(m); ok {
				out = append(out, both)
			}
		}
	}
	return out
}

// Freezes are the spans in which the commands of the node were themselves stopped.
func Freezes(actions []Action, node string) []Interval {
	return spans(actions, node, []string{Frozen}, []string{Thawed})
}

// Hurt are the spans in which the node was not left alone.
func Hurt(actions []Action, node string) []Interval {
	out := spans(actions, node, []string{Killed, Paused, Termed, GuardianPaused, Cut, Exited}, []string{Started, Resumed, GuardianResumed, Joined})
	for _, a := range actions {
		if a.Node == node && a.What == GuardianKilled {
			out = append(out, Interval{From: a.At, To: a.At.Add(Boot)})
		}
	}
	return out
}
