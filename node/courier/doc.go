// Package courier carries the messages of actors between nodes: it is the actor.Router of a node, over a Directory that
// knows where children run, and over message streams of the node port.
//
//	c := courier.New(courier.Config{Node: "n1", Port: port, Directory: directory})
//	runner := behaviors.Start(behaviors.Config{…, Router: c}, sink)
//	c.Use(runner.System())
//	port.OnMessages(c.Serve)
//	defer c.Close()
//
// # What it keeps
//
//   - A call is carried out at most once (S41): it is sent again only when the other node said that no handler saw it, or when
//     it never left this one. A stream that breaks after it was sent makes its outcome unknown.
//   - A call waits within its deadline for its child to run, wherever that will be (S40).
//   - Messages of one goroutine to one incarnation are delivered in the order sent (S42): there is one stream to each node at
//     a time; its receiver puts each message into its mailbox before it reads the next, and reads nothing of a newer stream
//     before it is done with the former.
//   - Nothing is answered past the end of a lease (A2).
//   - Queues are bounded: a full one is ErrBusy, and of a node that does not take its answers no more is read. Casts that are lost on the way are counted.
//
// # How a message travels
//
// Senders put messages into the line to a node. The line's goroutine takes all that has come meanwhile and sends it in one
// frame: the busier the line, the larger its frames, without a timer. A line is all that knows of streams and frames; what
// callers see does not depend on them.
//
// # What it does not know
//
// Raft, the leader and the replicated state: where a child runs is the Directory's to say.
package courier
