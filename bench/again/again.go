// Package again runs the calling program once more, as a process that is told what to do by lines of JSON on its standard
// input and answers by lines on its standard output. It ends when its driver does: then its input ends.
package again

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
)

// Process is one that was started. Its methods are for one goroutine.
type Process[A any] struct {
	Cmd     *exec.Cmd
	Answers chan A // closed when the process has been waited for
	in      *json.Encoder
	close   func() error
}

// Start starts the program with these arguments. keep takes lines that are no answers, and says so; nil = all are. watchers
// counts the goroutine that reads them.
func Start[A any](watchers *sync.WaitGroup, keep func(A) bool, args ...string) (*Process[A], error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process[A]{Cmd: cmd, Answers: make(chan A, 1), in: json.NewEncoder(in), close: in.Close}
	watchers.Go(func() {
		defer close(p.Answers)
		for d := json.NewDecoder(out); ; {
			var line A
			if d.Decode(&line) != nil {
				cmd.Wait()
				return
			}
			if keep == nil || !keep(line) {
				p.Answers <- line
			}
		}
	})
	return p, nil
}

// Tell sends it a line.
func (p *Process[A]) Tell(line any) error { return p.in.Encode(line) }

// Answer waits for its next answer.
func (p *Process[A]) Answer(ctx context.Context) (a A, err error) {
	select {
	case a, ok := <-p.Answers:
		if !ok {
			return a, errors.New("it has ended")
		}
		return a, nil
	case <-ctx.Done():
		return a, context.Cause(ctx)
	}
}

// Ended waits until the process has been waited for, and drops its answers.
func (p *Process[A]) Ended(ctx context.Context) error {
	for {
		select {
		case _, open := <-p.Answers:
			if !open {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// End ends its input, which asks it to end, waits until ctx is over, and kills it.
func (p *Process[A]) End(ctx context.Context) error {
	_ = p.close() // closed already, when it was killed
	_ = p.Ended(ctx)
	err := p.Cmd.Process.Kill()
	go func() { // until the watcher has seen the end
		for range p.Answers {
		}
	}()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill: %w", err)
	}
	return nil
}
