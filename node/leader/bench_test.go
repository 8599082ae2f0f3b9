package leader

import (
	"fmt"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// BenchmarkNodeLoss is the leader's own work when a node of three with a third of the children is lost: from the proof to
// the last spawn order, commits included (Apply's work too), without disk and network.
func BenchmarkNodeLoss(b *testing.B) {
	for _, children := range []int{1000, 10000, 30000} {
		b.Run(fmt.Sprint(children), func(b *testing.B) {
			entries, frames := 0, 0
			for b.Loop() {
				b.StopTimer()
				w := loaded(b, 3, children)
				lost := w.st.CountOn("n2")
				w.down("n2")
				w.entries = nil
				b.StartTimer()
				w.step(Probed{Node: "n2", Session: w.session["n2"], Refused: true})
				for len(w.log) > 0 {
					p := w.log[0]
					w.log = w.log[1:]
					w.entries = append(w.entries, p.Entry)
					w.index++
					w.step(Committed{Proposal: p.Proposal, Applied: w.st.Apply(w.index, p.Entry)})
				}
				b.StopTimer()
				spawns := 0
				for _, s := range of[Send](w.seen()) {
					spawns += len(s.Frame.Spawns)
					frames++
				}
				if spawns != lost {
					b.Fatalf("%d spawns for %d lost children", spawns, lost)
				}
				entries += len(w.entries)
				b.StartTimer()
			}
			b.ReportMetric(float64(entries)/float64(b.N), "entries/op")
			b.ReportMetric(float64(frames)/float64(b.N), "frames/op")
		})
	}
}

// BenchmarkStart is a manifest of children started at once.
func BenchmarkStart(b *testing.B) {
	const children = 10000
	for b.Loop() {
		w := loaded(b, 3, children)
		b.ReportMetric(float64(len(w.entries)), "entries/op")
	}
}

// BenchmarkIdleAgents is one H of a leader with a thousand agents of a thousand children each: every agent renews once (G11).
func BenchmarkIdleAgents(b *testing.B) {
	const agents = 1000
	w := loaded(b, agents, 1000*agents)
	left := int64(2 * second)
	round := func() {
		for i := range agents {
			n := sup.NodeName(fmt.Sprint("n", i+1))
			w.serial++
			w.now += 500 * ms / agents
			w.step(w.frame(n, rpc.FromAgent{Renew: &rpc.Renew{Session: w.session[n], Seq: w.serial, Left: left}}))
			if w.wake <= w.now {
				w.wake = never
				w.step(Tick{})
			}
			for len(w.log) > 0 {
				p := w.log[0]
				w.log = w.log[1:]
				w.index++
				w.step(Committed{Proposal: p.Proposal, Applied: w.st.Apply(w.index, p.Entry)})
			}
		}
		w.acts = nil
	}
	for range 4 {
		round() // what remains of the start
	}
	for b.Loop() {
		round()
	}
}

// BenchmarkAgentLoss is the loss of one of a thousand agents with a thousand children each (G11).
func BenchmarkAgentLoss(b *testing.B) {
	const agents = 1000
	w := loaded(b, agents, 1000*agents)
	i := 0
	for b.Loop() {
		b.StopTimer()
		i++
		n := sup.NodeName(fmt.Sprint("n", i%agents+1))
		if n == "n1" || !w.st.Node(n).Live() {
			b.StartTimer()
			continue
		}
		w.acts = nil
		w.down(n)
		b.StartTimer()
		w.step(Probed{Node: n, Session: w.session[n], Refused: true})
		for len(w.log) > 0 {
			p := w.log[0]
			w.log = w.log[1:]
			w.index++
			w.step(Committed{Proposal: p.Proposal, Applied: w.st.Apply(w.index, p.Entry)})
		}
	}
}

// BenchmarkCrash is a crash and its restart.
func BenchmarkCrash(b *testing.B) {
	w := loaded(b, 3, 10000)
	k := key("a", "c7")
	for b.Loop() {
		w.acts = nil
		w.report(k, fsm.ReportEnded, sup.ExitNodeDown)
		p := w.log[0]
		w.log = w.log[1:]
		w.index++
		w.step(Committed{Proposal: p.Proposal, Applied: w.st.Apply(w.index, p.Entry)})
	}
}
