package agent_test

import (
	"fmt"
	"time"

	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// A node registers, gets a lease, and fences when nobody renews it.
func Example() {
	m := agent.New(agent.Config{Node: "n1", ID: "5f0c…"})
	session := sup.Session{Gen: 1, Seq: 1}
	now := int64(time.Hour)
	step := func(ev agent.Event) {
		for _, a := range m.Step(ev, now) {
			switch a := a.(type) {
			case agent.Send:
				switch f := a.Frame; {
				case f.Hello != nil:
					fmt.Println("hello from", f.Hello.Node)
				case f.Renew != nil:
					fmt.Println("renews", f.Renew.Session)
				}
			case agent.Lease:
				fmt.Println("lease for", time.Duration(a.Deadline-now))
			case agent.Fence:
				fmt.Println("fence")
			}
		}
	}
	nonce := func(ev agent.Event) (n uint64) {
		for _, a := range m.Step(ev, now) {
			if s, ok := a.(agent.Send); ok && s.Frame.Register != nil {
				n = s.Frame.Register.Nonce
			}
		}
		return n
	}
	from := func(f rpc.ToAgent) agent.Event { return agent.Received{Stream: 1, Frame: f} }
	ttl, h := int64(3*time.Second), int64(500*time.Millisecond)

	step(agent.StreamUp{Stream: 1})
	n := nonce(from(rpc.ToAgent{Welcome: &rpc.Welcome{Term: 1, Leader: "n2", Gen: 1, TTL: ttl, H: h}}))
	step(from(rpc.ToAgent{Registered: &rpc.Registered{Nonce: n, Session: session}}))
	now += int64(100 * time.Millisecond) // the answer takes its time, and the lease counts from the question
	step(from(rpc.ToAgent{Grant: &rpc.Grant{Session: session, Seq: 1, TTL: ttl, Fence: ttl / 6, H: h}}))
	now += ttl
	step(agent.Tick{})
	// Output:
	// hello from n1
	// renews 1.1
	// lease for 2.9s
	// fence
}
