// Package sim runs whole clusters in virtual time: the real fsm.State, agent.Machine and leader.Machine over a simulated
// log, network, clocks, processes and guardians. There is one event heap and one random number generator, so a seed is a
// history: the same seed gives the same trace, bit for bit.
//
// The world knows what no member can know, which commands really live at an instant, and checks the invariants of
// docs/guarantees.md (I1–I6, I8, I9) from outside at every step. Mutants prove that the checks have teeth: each clause of the
// protocol, taken out, must lead to a violation within a bounded number of seeds.
//
// Seeds run again by themselves:
//
//	go test ./test/sim -run TestSeed -seed=N -history
package sim
