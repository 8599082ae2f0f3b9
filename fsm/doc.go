// Package fsm is the replicated state of a supnode cluster and its only way to change: Apply.
//
// It is a pure function from (state, entry) to (state, results): it knows no clock, no random number, no goroutine, no
// disk and no network. The OTP rules of package supervisor run inside Apply, on the exact committed state, so that every
// replica and every later leader comes to the same decision. Placement is data in the entry (S30).
package fsm
