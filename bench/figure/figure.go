package figure

import "fmt"

// Figure is one line of a report.
type Figure struct {
	What      string  `json:"what"`
	Lease     string  `json:"lease,omitempty"` // heartbeat_interval/lease_ttl of the cluster; empty: no cluster
	Spread    *Spread `json:"spread,omitempty"`
	PerSecond float64 `json:"per_second,omitempty"`
	Beside    []Ratio `json:"beside,omitempty"`
	Note      string  `json:"note,omitempty"` // what applies to it: a wait that the protocol asks for, a fault of the run
	Goal      *Goal   `json:"goal,omitempty"`
}

// Goal is what a figure is to reach.
type Goal struct {
	Text  string  `json:"text"`  // as people write it: ≤ 1.5 × a bare commit
	Value float64 `json:"value"` // what was reached, in the goal's unit
	Met   bool    `json:"met"`
}

func (g *Goal) String() string {
	verdict := "FAIL"
	if g.Met {
		verdict = "PASS"
	}
	return fmt.Sprintf("%s: %s, goal %s", verdict, number(g.Value), g.Text)
}

// Ratio compares a figure to another one of the same run.
type Ratio struct {
	Of float64 `json:"of"`
	To string  `json:"to"`
}

// Report is one run.
type Report struct {
	Machine Machine  `json:"machine"`
	Figures []Figure `json:"figures"`
}

// Add adds a line.
func (r *Report) Add(f Figure) { r.Figures = append(r.Figures, f) }

// Over is a/b as a Ratio to what b is; none when b was not measured.
func Over(a, b float64, to string) []Ratio {
	if b == 0 {
		return nil
	}
	return []Ratio{{a / b, to}}
}
