// Command bench measures supnode on the machine it runs on: real processes, real disk, loopback. What a bare Raft commit,
// a bare election and a bare process start cost is measured in the same run, so that what supnode adds shows as a ratio.
//
//	go run ./bench            # a table
//	go run ./bench -o json
//
// README.md says what each figure is. Invariant: every instant is CLOCK_MONOTONIC, of the children's own records where it
// is about children. It must not know more of supnode than a user does; bareraft alone repeats its Raft configuration.
package main
