package figure

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// manyEnough is how many times there must be for their p99 to be another than their maximum.
const manyEnough = 100

// JSON writes the report as JSON.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Table writes the report as a table, which is Markdown too.
func (r *Report) Table(w io.Writer) error {
	rows := [][]string{{"figure", "lease", "n", "p50 ms", "p99 ms", "max ms", "per second", "beside it"}}
	for _, f := range r.Figures {
		rows = append(rows, f.cells())
	}
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Machine)
	for i, row := range rows {
		for c, cell := range row {
			pad := strings.Repeat(" ", width[c]-utf8.RuneCountInString(cell))
			if numeric(c) {
				cell, pad = pad+cell, ""
			}
			fmt.Fprintf(&b, "| %s%s ", cell, pad)
		}
		b.WriteString("|\n")
		if i == 0 {
			for c := range row {
				line := strings.Repeat("-", width[c]+1)
				if numeric(c) {
					b.WriteString("|" + line + ":")
				} else {
					b.WriteString("|" + line + "-")
				}
			}
			b.WriteString("|\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func numeric(column int) bool { return column >= 2 && column <= 6 }

func (f Figure) cells() []string {
	row := []string{f.What, f.Lease, "", "", "", "", "", ""}
	if s := f.Spread; s != nil {
		row[2], row[3], row[5] = fmt.Sprint(s.N), number(s.P50), number(s.Max)
		if s.N >= manyEnough {
			row[4] = number(s.P99)
		}
	}
	if f.PerSecond > 0 {
		row[6] = number(f.PerSecond)
	}
	var beside []string
	for _, r := range f.Beside {
		beside = append(beside, fmt.Sprintf("%s × %s", number(r.Of), r.To))
	}
	if f.Note != "" {
		beside = append(beside, f.Note)
	}
	if f.Goal != nil {
		beside = append(beside, strings.TrimSpace(f.Goal.String()))
	}
	row[7] = strings.Join(beside, "; ")
	return row
}

// number writes x with three digits that count.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
