// Package history is the vocabulary of evidence: what was seen from outside while a cluster was hurt. It holds the lives
// that children wrote down, what clients asked and were answered, what was done to which process and when, the event
// streams of two consumers, the log of the fenced register, and how each round went.
//
// Invariant: a history is facts only, with instants of the one CLOCK_MONOTONIC of this kernel. What they mean is the
// checkers' business (package check). It must not know HTTP, processes or the product's Go types.
//
// A history is kept as one JSON file, so that a red run can be judged again later:
//
//	h, err := history.Load("red/history.json")
package history
