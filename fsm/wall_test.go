package fsm

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The wall clock is for display alone: when it steps, by hours and to and fro, every decision stays what it was; only the
// times that are shown differ.
func TestAStepOfTheWallClockChangesOnlyTheTimesThatAreShown(t *testing.T) {
	steps := []int64{0, int64(time.Hour), -int64(240 * time.Hour), 1, -int64(time.Minute), -testWall, int64(87600 * time.Hour)}
	for _, name := range goldenScripts {
		t.Run(name, func(t *testing.T) {
			steady, stepped := New(), New()
			for i, b := range playScript(t, name).log {
				e, err := Decode(b)
				if err != nil {
					t.Fatal(err)
				}
				want := steady.Apply(uint64(i+1), e)
				e.Wall += steps[i%len(steps)]
				if diff := cmp.Diff(want, stepped.Apply(uint64(i+1), e)); diff != "" {
					t.Fatalf("entry %d:\n%s", i+1, diff)
				}
			}
			if diff := cmp.Diff(shown(steady), shown(stepped)); diff != "" {
				t.Error(diff)
			}
			if err := stepped.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// shown is what a state shows, without times.
func shown(s *State) (out []any) {
	for v := range s.Supervisors() {
		info, _ := s.Info(v.Name)
		info.StartedAt, info.UptimeMS = time.Time{}, 0
		out = append(out, info)
		children, _ := s.Children(v.Name, "", 1000, nil)
		for _, c := range children {
			c.StartedAt = nil
			if c.LastExit != nil {
				c.LastExit.At = time.Time{}
			}
			out = append(out, c)
		}
	}
	events, _, _ := s.Events(0, 100_000)
	for _, e := range events {
		e.Time = time.Time{}
		out = append(out, e)
	}
	return out
}
