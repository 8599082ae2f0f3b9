// Package stories plays the rules of supervision (docs/supervision.md) with real processes on three nodes, over HTTP: one
// story a test, named for its rules. Who started and stopped when is read from the children's own records.
//
// A command's init returns when it has been forked, before the program itself has said anything; so the order of starts is
// that of the incarnations that the children were given, which are log indexes, and the order of stops that of the instants
// at which they ended.
package stories
