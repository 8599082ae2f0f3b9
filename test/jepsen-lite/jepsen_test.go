package jepsenlite

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/nemesis"
	"github.com/supnode/supnode/test/jepsen-lite/rounds"
	"github.com/supnode/supnode/test/machine"
	"go.uber.org/goleak"
)

var (
	seed     = flag.Uint64("seed", 0, "who is hit, and when; 0 = another one each time")
	keep     = flag.String("keep", filepath.Join(os.TempDir(), "jepsen-lite-red"), "where the evidence of red runs goes")
	ttl      = flag.Duration("ttl", time.Second, "lease_ttl; the heartbeat is a tenth of it")
	binary   = flag.String("binary", "", "a supnode that is built already")
	race     = flag.Bool("race-binary", false, "build supnode with the race detector")
	programs rounds.Programs
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64() >> 32
	}
	var err error
	if programs, err = rounds.Build(*binary, *race); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("seed", *seed)
	status := machine.Run(m)
	programs.Remove()
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, "the harness leaks:", err)
		status = 1
	}
	os.Exit(status)
}

// quiet is how long the share of go test watches that nothing starts; the full run watches for longer than W.
const quiet = 500 * time.Millisecond

func options(t *testing.T, failover string, proxied bool) rounds.Options {
	return rounds.Options{
		Binary: programs.Binary, Child: programs.Child, Seed: *seed, Timing: history.Timing{H: *ttl / 10, TTL: *ttl}, FastFailover: failover,
		Proxied: proxied, Quiet: quiet, Log: t.Logf,
		Rerun: fmt.Sprintf("go test ./test/jepsen-lite -run '^%s$' -seed %d -ttl %v", t.Name(), *seed, *ttl),
	}
}

func play(t *testing.T, failover string, proxied bool, names ...string) {
	var faults []nemesis.Fault
	for _, n := range names {
		faults = append(faults, nemesis.Named(n))
	}
	r := rand.New(rand.NewPCG(*seed, 2))
	r.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	res := rounds.Block(t.Context(), options(t, failover, proxied), *keep, faults...)
	if !res.OK() {
		t.Fatalf("\n%s", res)
	}
	t.Logf("\n%s", res)
}

// Kills, with refused connections as proof of death, and with leases alone.
var kills = []string{"kill-follower", "kill-leader", "kill-leader-and-successor", "kill-all", "restart-any", "kill-guardian-any", "term-follower", "term-leader"}

func TestKillsWithFastFailover(t *testing.T) {
	play(t, "loopback", false, append(kills, "kill-both-follower")...)
}
func TestKillsWithoutFastFailover(t *testing.T) { play(t, "off", false, kills...) }

// Pauses and partitions, of whom the full run plays each with both settings.
func TestPausesWithFastFailover(t *testing.T) {
	play(t, "loopback", false, "pause-follower", "pause-both-leader", "freeze-follower")
}

func TestPausesWithoutFastFailover(t *testing.T) {
	play(t, "off", false, "pause-leader", "pause-both-follower", "freeze-leader")
}

func TestPartitionsWithFastFailover(t *testing.T) {
	play(t, "loopback", true, "isolate-leader", "mute-follower", "deafen-leader")
}

func TestPartitionsWithoutFastFailover(t *testing.T) {
	play(t, "off", true, "isolate-follower", "mute-leader", "deafen-follower")
}

// stage opens a cluster for a story of its own.
func stage(t *testing.T, failover string, proxied bool) (*rounds.Stage, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	o := options(t, failover, proxied)
	o.Dir = t.TempDir()
	s, err := rounds.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		if h := s.Abandon(); len(h.Streams) > 0 { // else judge kept it
			dir := filepath.Join(*keep, fmt.Sprintf("%d-%s", s.Seed, filepath.Base(t.Name())))
			t.Logf("evidence kept in %s (%v)", dir, s.Keep(dir, h, "the story was given up\n"))
		}
	})
	return s, ctx
}

// judge ends a story and checks these invariants.
func judge(t *testing.T, ctx context.Context, s *rounds.Stage, invariants ...string) rounds.Result {
	t.Helper()
	res := s.Judge(ctx, *keep, invariants...)
	if !res.OK() {
		t.Errorf("\n%s", res)
	} else {
		t.Logf("\n%s", res)
	}
	return res
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
