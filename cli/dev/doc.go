// Package dev runs a cluster of real, separate processes on this host for a person to play with: it writes the config
// files that a user would write, starts a node from each, starts a demo supervisor, and tells what happens until it is
// told to stop. A node that dies is started again, as systemd would.
package dev
