// Package handover shows with real processes that a node which leaves or is drained hands its children over one by one:
// none is missing longer than its own stop and start, nothing is lost, and nothing is counted.
package handover
