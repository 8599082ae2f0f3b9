// Package actors is three nodes of a program with a Go behavior: what the goals of the benchmark speak of. The children
// write what happens to them into a board, a file that all processes have mapped: writing costs nanoseconds, so a hundred
// thousand of them can say when they began without being slowed by it.
//
// The processes are the calling program again: its main hands over to Main when IsNode says so. They end when the driver
// does. Invariant: every instant is CLOCK_MONOTONIC, of the child's own making. It must not know more of supnode than a
// program that embeds a node.
package actors
