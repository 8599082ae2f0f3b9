// Package nemesis is the faults: each a value with a name, how it is inflicted and how it is healed. Who is hit is chosen
// from what the nodes say of themselves, and by a seed.
//
// Invariant: every thing done is written down by the driver when it is done; a fault knows nothing of the checks that
// follow. A new fault is one entry in All.
package nemesis
