//go:build !mutants

package guardian

// ignoresDeadline is mutant 15; only binaries built with the tag mutants can have it.
const ignoresDeadline = false

// mutantEnv is what a guardian's environment has of mutants.
func mutantEnv() []string { return nil }
