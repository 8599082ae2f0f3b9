// Package edges shows what a user meets when something around supnode is wrong: its config file, a request, the data
// directory, a port, the disk, a certificate, the clock, a client that is slow, or whatever else may reach the node port. Each
// test runs the real program with real sockets and disks. It asserts words that say what is wrong and what would be right, the
// exit status, that nothing is corrupted, and that the children of the other nodes run on undisturbed.
//
// One file is one thing that can be wrong. Tests that only knock at a healthy cluster share one (town_test.go); those that
// break a member have their own. A test that can't run where it is says why in one line.
package edges
