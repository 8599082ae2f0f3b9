// Package supervisor is the vocabulary of supnode (child specs, strategies, events, refusals), the OTP rules as pure
// functions, and the selectors that choose nodes. It imports the standard library alone and knows no clock, no goroutine
// and no network. Rules are cited as S1…S45; they are those of docs/supervision.md.
package supervisor
