// Package journal is how children bear witness. Each process of an incarnation appends records to a file of its own, one
// write(2) a record, with CLOCK_MONOTONIC; so a file tells when that process lived, to a tick, however it died. A file
// per process means that no two processes ever share one and no lock can hide an overlap.
//
// A record is a line: a letter, an instant in nanoseconds, and for some a text.
//
//	S 512377112312 node=n1 pid=4242      it started
//	T 512387112001                       it still runs (a tick)
//	E 512391112777                       the fenced register accepted its write
//	R 512391112777                       the fenced register refused it: someone newer was there
//	X 512401112001 SIGTERM               it ends by itself
//
// The program that does this is in folder child. Invariant: nothing is recorded that did not happen; a reader never fails on a
// file that a kill cut short. It must not know supnode beyond the environment that commands are given.
package journal
