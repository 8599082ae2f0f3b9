// Package register is a fenced register: the resource that a child guards with its incarnation. It keeps the highest
// incarnation that has written for each child, accepts writes of that one or a higher one, refuses and counts the rest.
// Writes of one node can be held on their way, as a network may, and arrive after their writer has died; such a write is
// what a fencing token is for.
//
// Invariant: what it accepted for a child never falls. It must not know why anyone writes.
package register
