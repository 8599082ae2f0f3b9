package figure

import (
	"math"
	"slices"
	"time"
)

// Spread is how a number of measured times lie, in milliseconds.
type Spread struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// Of is the spread of ds; nil when there are none. ds is sorted.
func Of(ds []time.Duration) *Spread {
	if len(ds) == 0 {
		return nil
	}
	slices.Sort(ds)
	return &Spread{N: len(ds), P50: ms(Percentile(ds, 50)), P99: ms(Percentile(ds, 99)), Max: ms(ds[len(ds)-1])}
}

// Percentile is the smallest of the sorted times that p percent of them do not exceed (nearest rank). There must be one.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
