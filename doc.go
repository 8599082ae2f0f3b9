// Package supnode is the front door: Main makes a program a full supnode, with its command line, its nodes and its guardian.
//
//	func main() { supnode.Main(poolWorker, scheduler) }
//
// Such a program is started on every host like the stock binary (myprog start --config n1.yaml), and its nodes can run the
// behaviors that it was given; myprog dev runs three of them here, to play with. Manifests name the behaviors:
//
//	{"name": "pool", "children": [{"id": "w1", "behavior": "pool-worker"}]}
//
// A program that wants no command line starts a node with package node, and holds supervisors with package supervisor.
// Behaviors are made with package actor. docs/go-api.md has it all at a glance.
package supnode
