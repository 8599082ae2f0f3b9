// Package proc looks at /proc: which processes are there, whose children they are, which ports are listened on and who
// is connected to whom. It is how the harness finds a guardian, and how it knows that nothing was left behind.
//
// Invariant: it only looks. It must not know what supnode is. All of it is a snapshot of a moving thing: a process that
// ends while it is looked at is left out.
package proc
