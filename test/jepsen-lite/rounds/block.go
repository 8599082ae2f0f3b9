package rounds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/supnode/supnode/test/jepsen-lite/check"
	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/journal"
	"github.com/supnode/supnode/test/jepsen-lite/nemesis"
)

// Programs are what all stages of a run share, built once.
type Programs struct {
	Dir           string // temporary; Remove removes it
	Binary, Child string
}

// Build builds supnode and the child program; with a binary it takes that one for supnode.
func Build(binary string, race bool) (p Programs, err error) {
	if p.Dir, err = os.MkdirTemp("", "jepsen-lite-"); err != nil {
		return p, err
	}
	if binary != "" {
		p.Binary, err = filepath.EvalSymlinks(binary)
	} else {
		p.Binary, err = cluster.Build(p.Dir, race)
	}
	if err == nil {
		p.Child, err = journal.Build(p.Dir)
	}
	if err != nil {
		return p, errors.Join(err, p.Remove())
	}
	return p, nil
}

// Remove removes the programs.
func (p Programs) Remove() error { return os.RemoveAll(p.Dir) }

// Result is what came of one block of rounds.
type Result struct {
	History *history.History
	Report  check.Report
	Err     error  // of the stage itself: it did not open, or left something behind
	Kept    string // where the evidence of a red block is
}

// OK reports whether all went well.
func (r Result) OK() bool { return r.Err == nil && r.Report.OK() }

// String tells what was wrong, or that nothing was.
func (r Result) String() string {
	var b strings.Builder
	b.WriteString(r.Report.String())
	b.WriteString(r.Report.Doubts())
	if r.Err != nil {
		fmt.Fprintln(&b, "error:", r.Err)
	}
	if r.History != nil && !r.OK() {
		fmt.Fprintf(&b, "seed %d, again with: %s\n", r.History.Seed, r.History.Rerun)
	}
	if r.Kept != "" {
		fmt.Fprintln(&b, "evidence kept in", r.Kept)
	}
	return b.String()
}

// Block plays faults one after another on one fresh cluster with a Pool, and judges what was seen. A round that does not
// settle is the last one. What o.Dir is to be is made here, and removed; the evidence of a red block stays in keep.
func Block(ctx context.Context, o Options, keep string, faults ...nemesis.Fault) (res Result) {
	dir, err := os.MkdirTemp("", "jepsen-lite-cluster-")
	if err != nil {
		return Result{Err: err}
	}
	defer func() { res.Err = errors.Join(res.Err, os.RemoveAll(dir)) }()
	o.Dir = dir
	s, err := Open(ctx, o)
	if err != nil {
		return Result{Err: err}
	}
	if err := s.StartPool(ctx); err != nil {
		h := s.Abandon()
		return Result{History: h, Err: errors.Join(err, fmt.Errorf("%s", s.tails(15)))}
	}
	for _, f := range faults {
		if !s.Play(ctx, f) {
			break
		}
	}
	return s.Judge(ctx, keep)
}

// Judge closes the stage and judges what was seen, by the named invariants or by all; the evidence of a red one stays in keep.
func (s *Stage) Judge(ctx context.Context, keep string, invariants ...string) Result {
	h, err := s.Close(ctx)
	res := Result{History: h, Report: check.All(h).Only(invariants...), Err: err}
	if !res.OK() && keep != "" {
		res.Kept = filepath.Join(keep, fmt.Sprintf("%d-%s-%d", s.Seed, s.FastFailover, history.Now()))
		if err := s.Keep(res.Kept, h, res.String()); err != nil {
			res.Err = errors.Join(res.Err, err)
		}
	}
	return res
}
