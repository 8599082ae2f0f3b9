// Package rounds plays faults on a real cluster and gathers the evidence. A Stage is a cluster with children that keep
// journals, a fenced register, two consumers of the events and a client that starts and terminates children all the time.
// A round on it is: see that all is well, hit, wait until the others have taken over, heal, wait until all is as it is to
// be, and watch that nothing starts any more.
//
// Invariant: a round waits for conditions, within bounds computed from the configuration, and judges nothing: what a bound
// means that was missed, package check says.
//
//	s, err := rounds.Open(ctx, rounds.Options{…})
//	s.Play(ctx, nemesis.Named("kill-leader"))
//	h, err := s.Close(ctx)
//	report := check.All(h)
package rounds
