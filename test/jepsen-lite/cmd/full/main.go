// Command full plays many rounds of every fault on real clusters, one cluster at a time, with fast_failover on and off, and
// prints what was checked, what was wrong, and how long takeovers took.
//
//	go run ./test/jepsen-lite/cmd/full -rounds 20
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/check"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/nemesis"
	"github.com/supnode/supnode/test/jepsen-lite/rounds"
)

type options struct {
	rounds   int
	faults   string
	failover string
	seed     uint64
	ttl      time.Duration
	binary   string
	race     bool
	keep     string
	verbose  bool
	level    string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 20, "rounds of each fault, for each setting of fast_failover")
	flag.StringVar(&o.faults, "faults", "", "only faults whose name matches this regular expression")
	flag.StringVar(&o.failover, "failover", "loopback,off", "settings of fast_failover")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64()>>32, "who is hit, and when")
	flag.DurationVar(&o.ttl, "ttl", time.Second, "lease_ttl; the heartbeat is a tenth of it")
	flag.StringVar(&o.binary, "binary", "", "a supnode that is built already")
	flag.BoolVar(&o.race, "race", false, "build supnode with the race detector")
	flag.StringVar(&o.keep, "keep", filepath.Join(os.TempDir(), "jepsen-lite-red"), "where the evidence of red blocks goes")
	flag.BoolVar(&o.verbose, "v", false, "tell all that is done to processes")
	flag.StringVar(&o.level, "log", "info", "log level of the nodes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "full:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (ok bool, err error) {
	only, err := regexp.Compile(o.faults)
	if err != nil {
		return false, err
	}
	faults := slices.DeleteFunc(nemesis.All(), func(f nemesis.Fault) bool { return !only.MatchString(f.Name) })
	if len(faults) == 0 {
		return false, fmt.Errorf("no fault matches %q; there are %v", o.faults, nemesis.All())
	}
	programs, err := rounds.Build(o.binary, o.race)
	if err != nil {
		return false, err
	}
	defer programs.Remove()
	var sum check.Report
	ok = true
	fmt.Printf("seed %d\n%-26s %-9s %6s  %-19s %-19s %8s %s\n", o.seed, "fault", "failover", "rounds", "taken over p50/max", "recovered p50/max",
		"refused", "")
	for _, failover := range strings.Split(o.failover, ",") {
		for _, f := range faults {
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			res := block(ctx, o, programs, failover, f)
			verdict := "ok"
			if !res.OK() {
				ok, verdict = false, "RED\n"+res.String()
			}
			fmt.Println(line(f, failover, res.History), verdict)
			if res.Report != nil {
				sum = sum.Add(res.Report)
			}
		}
	}
	fmt.Println()
	fmt.Print(sum)
	return ok, nil
}

func block(ctx context.Context, o options, p rounds.Programs, failover string, f nemesis.Fault) rounds.Result {
	opts := rounds.Options{
		Binary: p.Binary, Child: p.Child, Seed: o.seed, Timing: history.Timing{H: o.ttl / 10, TTL: o.ttl}, FastFailover: failover,
		Proxied: f.Links, LogLevel: o.level,
		Rerun: fmt.Sprintf("go run ./test/jepsen-lite/cmd/full -rounds %d -faults '^%s$' -failover %s -seed %d -ttl %v", o.rounds, f.Name, failover,
			o.seed, o.ttl),
	}
	if o.verbose {
		opts.Log = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	}
	return rounds.Block(ctx, opts, o.keep, slices.Repeat([]nemesis.Fault{f}, o.rounds)...)
}

// line is one line of the table.
func line(f nemesis.Fault, failover string, h *history.History) string {
	if h == nil {
		return fmt.Sprintf("%-26s %-9s %6s", f.Name, failover, "-")
	}
	var taken, recovered []time.Duration
	for _, r := range h.Rounds {
		if r.Taken != 0 {
			taken = append(taken, r.TakeoverTime)
		}
		if r.Converged != 0 {
			recovered = append(recovered, r.RecoveryTime)
		}
	}
	refused := 0
	for _, w := range h.Writes {
		if !w.Accepted {
			refused++
		}
	}
	return fmt.Sprintf("%-26s %-9s %6d  %-19s %-19s %8d", f.Name, failover, len(h.Rounds), spread(taken), spread(recovered), refused)
}

func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "-"
	}
	slices.SortFunc(d, cmp.Compare)
	return fmt.Sprintf("%v / %v", d[len(d)/2].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond))
}
