package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// MaxExamples bounds how many violations of one invariant are told.
const MaxExamples = 10

// Verdict is what one checker says.
type Verdict struct {
	Invariant string   `json:"invariant"`
	About     string   `json:"about"`
	Checked   int      `json:"checked"`
	Ambiguous int      `json:"ambiguous"`
	Violated  int      `json:"violated"`
	Optional  bool     `json:"optional,omitempty"` // nothing to check is no failure: the history has none of it
	Examples  []string `json:"examples,omitempty"`
	Notes     []string `json:"notes,omitempty"` // of what was ambiguous
}

// OK reports whether the invariant held and was tested.
func (v *Verdict) OK() bool { return v.Violated == 0 && (v.Checked > 0 || v.Optional) }

func (v *Verdict) violated(format string, args ...any) {
	v.Violated++
	if len(v.Examples) < MaxExamples {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

func (v *Verdict) ambiguous(format string, args ...any) {
	v.Ambiguous++
	if len(v.Notes) < MaxExamples {
		v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
	}
}

// Report is what all checkers say of one history.
type Report []*Verdict

// All runs every checker.
func All(h *history.History) Report {
	return Report{
		Starts(h), Terminations(h), Lives(h), Fence(h), Settled(h), Windows(h), Linear(h), Streams(h), Truth(h), Faults(h), Calm(h),
	}
}

// OK reports whether every invariant held and was tested.
func (r Report) OK() bool { return !slices.ContainsFunc(r, func(v *Verdict) bool { return !v.OK() }) }

// Only is the verdicts on some invariants; without names, on all.
func (r Report) Only(invariants ...string) Report {
	if len(invariants) == 0 {
		return r
	}
	return slices.DeleteFunc(slices.Clone(r), func(v *Verdict) bool { return !slices.Contains(invariants, v.Invariant) })
}

// Add adds the counts of another report of the same checkers, for a table over many histories.
func (r Report) Add(other Report) Report {
	if r == nil {
		for _, v := range other {
			r = append(r, &Verdict{Invariant: v.Invariant, About: v.About, Optional: v.Optional})
		}
	}
	for i, v := range other {
		r[i].Checked += v.Checked
		r[i].Ambiguous += v.Ambiguous
		r[i].Violated += v.Violated
		r[i].Examples = append(r[i].Examples, v.Examples...)
		r[i].Notes = append(r[i].Notes, v.Notes...)
	}
	return r
}

// String is a table, and below it what was wrong.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-5s %-62s %8s %9s %8s\n", "", "", "checked", "ambiguous", "violated")
	for _, v := range r {
		verdict := ""
		switch {
		case v.Violated > 0:
			verdict = "  VIOLATED"
		case !v.OK():
			verdict = "  NOTHING CHECKED"
		}
		fmt.Fprintf(&b, "%-5s %-62s %8d %9d %8d%s\n", v.Invariant, v.About, v.Checked, v.Ambiguous, v.Violated, verdict)
	}
	for _, v := range r {
		for i, e := range v.Examples {
			if i == MaxExamples {
				break
			}
			fmt.Fprintf(&b, "%s violated: %s\n", v.Invariant, e)
		}
	}
	return b.String()
}

// Doubts lists what was ambiguous.
func (r Report) Doubts() string {
	var b strings.Builder
	for _, v := range r {
		for i, n := range v.Notes {
			if i == MaxExamples {
				break
			}
			fmt.Fprintf(&b, "%s ambiguous: %s\n", v.Invariant, n)
		}
	}
	return b.String()
}
