//go:build mutants

package guardian

import "os"

const mutantVariable = "SUPNODE_MUTANT"

// ignoresDeadline is mutant 15: a guardian that does not kill at the deadline.
var ignoresDeadline = os.Getenv(mutantVariable) == "guardian_no_deadline"

// mutantEnv is what a guardian's environment has of mutants.
func mutantEnv() []string {
	if m := os.Getenv(mutantVariable); m != "" {
		return []string{mutantVariable + "=" + m}
	}
	return nil
}
