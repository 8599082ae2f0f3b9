package sim

import (
	"flag"
	"testing"
)

var mutantSeeds = flag.Int("mutant-seeds", 300, "within how many seeds a mutant must die")

// TestMutantsDie takes one clause of the protocol out at a time: some seed must turn red.
func TestMutantsDie(t *testing.T) {
	for _, name := range append(append(append(append([]string(nil), AgentMutants...), LeaderMutants...), CoreMutants...), WorldMutants...) {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= uint64(*mutantSeeds); seed++ {
				if r := Run(seed, Options{Mutant: name}); r.Violation != nil {
					msg := r.Violation.Error()
					t.Logf("dies at seed %d: %.300s", seed, msg)
					return
				}
			}
			t.Errorf("lives after %d seeds", *mutantSeeds)
		})
	}
}
