package fsm

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// full is a state with n running children on three nodes.
func full(b *testing.B, n int) *State {
	w := newWorld(b)
	for _, node := range nodeNames[:3] {
		w.register(node)
	}
	sp := sup.Spec{Name: "pool", Intensity: &sup.Intensity{MaxRestarts: sup.MaxRestartsLimit, Within: 1}}
	for i := range n {
		sp.Children = append(sp.Children, sup.ChildSpec{ID: sup.ChildID(fmt.Sprintf("worker-%d", i)), Behavior: "exec"})
	}
	e := Entry{Commands: []Command{{StartSupervisor: &StartSupervisor{Spec: sp.WithDefaults()}}}}
	for i, c := range sp.Children {
		node := w.s.Node(nodeNames[i%3])
		e.Placements = append(e.Placements, Placement{Key: key("pool", c.ID), Node: node.Name, Session: node.Session})
	}
	w.s.Apply(w.s.index+1, e)
	e = Entry{}
	for _, c := range sp.Children {
		e.Commands = append(e.Commands, Command{Report: &Report{Key: key("pool", c.ID), Inc: w.s.Child(key("pool", c.ID)).Inc, Kind: ReportRunning}})
	}
	w.s.Apply(w.s.index+1, e)
	if w.s.Counts("pool").Active != n {
		b.Fatal("not all children run")
	}
	return w.s
}

// BenchmarkExit applies a crash with its placement, and the running of the next incarnation, among 100,000 children: two
// entries an operation.
func BenchmarkExit(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("children=%d", n), func(b *testing.B) {
			s := full(b, n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				k := key("pool", sup.ChildID(fmt.Sprintf("worker-%d", i%n)))
				c, clock := s.Child(k), s.clock+10
				s.Apply(s.index+1, Entry{
					Clock:      clock,
					Commands:   []Command{{Report: &Report{Key: k, Inc: c.Inc, Kind: ReportEnded, Reason: sup.ExitError}}},
					Placements: []Placement{{Key: k, Node: c.Node, Session: c.Session}},
				})
				s.Apply(s.index+1, Entry{Clock: clock, Commands: []Command{{Report: &Report{Key: k, Inc: s.Child(k).Inc, Kind: ReportRunning}}}})
			}
		})
	}
}

// BenchmarkNodeDown applies the loss of a node with a third of the children, and their placements, in one entry.
func BenchmarkNodeDown(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("children=%d", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := full(b, n)
				other := s.Node("n2")
				e := Entry{Commands: []Command{{NodeDown: &NodeDown{Node: "n1", Session: s.Node("n1").Session}}}}
				for c := range s.On("n1") {
					e.Placements = append(e.Placements, Placement{Key: c.Key, Node: other.Name, Session: other.Session})
				}
				b.StartTimer()
				s.Apply(s.index+1, e)
			}
		})
	}
}

// BenchmarkCapture is the pause that a snapshot makes.
func BenchmarkCapture(b *testing.B) {
	s := full(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		s.Capture()
	}
}

// BenchmarkWriteTo and BenchmarkRestore are what a snapshot of 100,000 children takes beside Apply, and at a start.
func BenchmarkWriteTo(b *testing.B) {
	m := full(b, 100_000).Capture()
	for b.Loop() {
		if _, err := m.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	image := snapshot(b, full(b, 100_000))
	for b.Loop() {
		if _, err := Restore(bytes.NewReader(image)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports the heap that a child takes.
func BenchmarkMemory(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		image := snapshot(b, full(b, 100_000))
		runtime.GC()
		runtime.ReadMemStats(&before)
		s, err := Restore(bytes.NewReader(image))
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/100_000, "B/child")
		runtime.KeepAlive(s)
	}
}
