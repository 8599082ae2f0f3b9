package sim

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	oneSeed   = flag.Uint64("seed", 0, "the seed that TestSeed runs")
	withTrace = flag.Bool("history", false, "write the history's text")
	seedCount = flag.Int("seeds", 1500, "how many seeds TestShare runs")
	firstSeed = flag.Uint64("from", 1, "the first of them")
	timeLimit = flag.Duration("time", 100*time.Second, "stop TestShare after this time")
	mutant    = flag.String("mutant", "", "the clause that TestSeed takes out")
)

// rerun is the line that runs a seed again.
func rerun(seed uint64) string {
	return fmt.Sprintf("go test ./test/sim -run TestSeed -seed=%d -history", seed)
}

// TestSeed runs one seed.
func TestSeed(t *testing.T) {
	if *oneSeed == 0 {
		t.Skip("no -seed")
	}
	o := Options{Mutant: *mutant}
	if *withTrace {
		out := bufio.NewWriterSize(os.Stdout, 1<<20)
		defer out.Flush()
		o.Trace = out
	}
	r := Run(*oneSeed, o)
	t.Logf("seed %d: %.1f s, sum %016x, %+v", r.Seed, float64(r.Virtual)/1e9, r.Sum, r.Stats)
	if r.Violation != nil {
		t.Fatal(r.Violation)
	}
}

// TestSameSeedSameHistory: the fingerprint of a history depends on its seed alone, not on whether it is told.
func TestSameSeedSameHistory(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := Run(seed, Options{}), Run(seed, Options{Trace: io.Discard})
		if a.Sum != b.Sum || a.Stats != b.Stats {
			t.Errorf("seed %d: %016x, then %016x", seed, a.Sum, b.Sum)
		}
	}
}

// TestRedSeeds runs every seed that was ever red; its line in testdata/seeds tells what it found.
func TestRedSeeds(t *testing.T) {
	b, err := os.ReadFile("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	var seeds []uint64
	for line := range strings.Lines(string(b)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" || word[0] == '#' {
			continue
		}
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, n)
	}
	swarm(t, seeds, Options{}, time.Time{})
}

// TestShare runs seeds in a row, as many as the flags say; no invariant may break, and what happened must be enough to
// mean something.
func TestShare(t *testing.T) {
	seeds := make([]uint64, *seedCount)
	for i := range seeds {
		seeds[i] = *firstSeed + uint64(i)
	}
	begin := time.Now()
	stats, virtual, n := swarm(t, seeds, Options{}, begin.Add(*timeLimit))
	wall := time.Since(begin)
	t.Logf("%d seeds, %.0f simulated seconds in %s (%.0f a second)", n, float64(virtual)/1e9, wall.Round(time.Millisecond), float64(virtual)/float64(wall))
	t.Logf("%+v", stats)
	if n < 100 {
		return
	}
	for k, c := range stats.Faults {
		if c == 0 {
			t.Errorf("no fault of kind %s", faultNames[k])
		}
	}
	if stats.Refused == 0 {
		t.Error("the fenced register refused nothing")
	}
	for _, c := range []struct {
		what string
		n    int
	}{
		{"acknowledged requests", stats.Acked}, {"reads", stats.Reads}, {"spawns", stats.Spawns}, {"moves", stats.Moves},
		{"nodes declared down", stats.NodeDowns}, {"fences", stats.Fenced}, {"lapses seen by guardians", stats.Lapses},
		{"exits", stats.Exits}, {"elections", stats.Elections}, {"counted restarts", stats.Counted}, {"intensities exceeded", stats.Exceeded},
		{"restarts of groups", stats.Groups}, {"operations that met a new leader", stats.Resumed}, {"changes", stats.Changes},
		{"auto-shutdowns", stats.Shutdowns}, {"ordered starts and stops", stats.Ordered}, {"orders across levels", stats.Levels},
		{"starts of children with max_per_node", stats.Bound}, {"starts of children with a custom selector", stats.Chosen},
	} {
		if c.n < n/10 {
			t.Errorf("%d %s in %d seeds: the test has no teeth", c.n, c.what, n)
		}
	}
}

// swarm runs seeds on every core until one is red or the time is up.
func swarm(t *testing.T, seeds []uint64, o Options, until time.Time) (Stats, int64, int) {
	t.Helper()
	var (
		mu      sync.Mutex
		total   Stats
		virtual int64
		n       int
		red     []Result
		next    atomic.Int64
		wg      sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(seeds) || !until.IsZero() && time.Now().After(until) {
					return
				}
				r := Run(seeds[i], o)
				mu.Lock()
				total.add(r.Stats)
				virtual += r.Virtual
				n++
				if r.Violation != nil {
					red = append(red, r)
				}
				stop := len(red) >= 8
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, r := range red {
		t.Errorf("seed %d: %v\nrun it again: %s", r.Seed, r.Violation, rerun(r.Seed))
	}
	return total, virtual, n
}
