// Package ref is what names a child for messages: Key, Incarnation and Ref. Package actor sends to a Ref, and the handle of
// package supervisor hands them out; neither knows the other, so the name lies below both. It knows no node: where a ref
// leads is the business of its Place.
//
// Programs use these types under their names in package actor and package supervisor: actor.Ref, supervisor.Ref.
package ref
