// Package supervisor is the vocabulary of supnode (child specs, strategies, events, refusals), the OTP rules as pure
// functions, and the selectors that choose nodes. It imports the standard library alone and knows no clock, no goroutine
// and no network: time comes in as numbers, random draws as arguments. Rules are cited as S1…S45; they are those of
// docs/supervision.md.
//
// A manifest (Spec) is read from JSON, filled in by WithDefaults and checked by Validate. Restart.OnExit says what becomes
// of a child that ended, Intensity.Count whether one more restart is allowed, Strategy.Reach which children it concerns, and
// Choose where it runs. Package fsm runs these rules on the replicated state.
//
// A refusal is a Problem, the same one on every face; errors.As finds a typed error in it where a program may want one.
package supervisor
