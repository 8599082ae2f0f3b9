// Package jepsenlite is the share of the real-process tests that go test runs: a few rounds of each fault, and the stories
// that have a test of their own. README.md tells how the harness is laid out and how to run all of it.
package jepsenlite
