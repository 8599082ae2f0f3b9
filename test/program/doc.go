// Package program tests what a user's program is that calls supnode.Main: greeter, built and run as real processes.
package program
