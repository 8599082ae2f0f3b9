package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/supnode/supnode/bench/actors"
	"github.com/supnode/supnode/bench/bareraft"
	"github.com/supnode/supnode/bench/figure"
	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/journal"
	"github.com/supnode/supnode/test/machine"
)

// patience bounds a whole run.
const patience = 15 * time.Minute

func main() {
	if bareraft.IsNode() {
		if err := bareraft.Main(); err != nil {
			fmt.Fprintln(os.Stderr, "bare Raft:", err)
			os.Exit(1)
		}
		return
	}
	if actors.IsNode() {
		if err := actors.Main(); err != nil {
			fmt.Fprintln(os.Stderr, "a node of actors:", err)
			os.Exit(1)
		}
		return
	}
	format := flag.String("o", "table", "table | json")
	binary := flag.String("binary", "", "a supnode that is built already")
	goals := flag.String("goals", "", "only the goals that this regular expression matches, as G1 or G2|G3, with the bare limits")
	ttl := flag.Duration("ttl", 0, "only the lease with this lease_ttl: 3s or 1s")
	profiles := flag.String("profiles", "", "a folder for CPU profiles of the nodes that run actors")
	keep := flag.Bool("keep", false, "leave the nodes' files where they are, and say where")
	flag.Parse()
	only, err := regexp.Compile(*goals)
	if err != nil || flag.NArg() > 0 || *format != "table" && *format != "json" {
		flag.Usage()
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "bench: waiting until no tests run beside it")
	defer machine.Alone()()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	report, err := run(ctx, &bench{binary: *binary, only: only, goalsAlone: *goals != "", profiles: *profiles, ttl: *ttl}, *keep)
	stop()
	switch { // also what was measured before an error
	case report == nil:
	case *format == "json":
		err = errors.Join(err, report.JSON(os.Stdout))
	default:
		err = errors.Join(err, report.Table(os.Stdout))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything, one thing after another.
func run(ctx context.Context, b *bench, keep bool) (*figure.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "supnode-bench-")
	if err != nil {
		return nil, err
	}
	if keep {
		fmt.Fprintln(os.Stderr, "files are kept in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	// The kernel says a program's path without symbolic links, and so must we.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	b.dir = dir
	b.Machine = figure.ThisMachine(dir) // before the builds add to its load
	b.say("building")
	if b.binary == "" {
		if b.binary, err = cluster.Build(dir, false); err != nil {
			return nil, err
		}
	}
	if b.child, err = journal.Build(dir); err != nil {
		return nil, err
	}
	began := time.Now()
	err = b.all(ctx)
	b.Machine.LoadAfter, b.Machine.Seconds = figure.Load(), int(time.Since(began).Seconds())
	return &b.Report, err
}
