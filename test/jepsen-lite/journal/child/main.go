// Command child is a child that keeps a journal: it ticks, writes to a fenced register, and misbehaves when told to.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/journal"
	"github.com/supnode/supnode/test/jepsen-lite/register"
)

type options struct {
	dir        string
	tick       time.Duration
	register   string
	every      int
	exitAfter  time.Duration
	exitCode   int
	crashFile  string
	ignoreTerm bool
	detach     bool
	stage      string
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "folder of the journals")
	flag.DurationVar(&o.tick, "tick", 10*time.Millisecond, "time between ticks")
	flag.StringVar(&o.register, "register", "", "address of the fenced register; empty = no writes")
	flag.IntVar(&o.every, "every", 5, "ticks between writes to the register")
	flag.DurationVar(&o.exitAfter, "exit-after", 0, "end by itself after this long; 0 = never")
	flag.IntVar(&o.exitCode, "exit-code", 1, "exit status of an end by itself")
	flag.StringVar(&o.crashFile, "crash-file", "", "end by itself once this file is there, and remove it first")
	flag.BoolVar(&o.ignoreTerm, "ignore-term", false, "go on after SIGTERM")
	flag.BoolVar(&o.detach, "detach", false, "also run a grandchild in a session of its own, forked twice")
	flag.StringVar(&o.stage, "stage", "", "internal: which fork of -detach this is")
	flag.Parse()
	status, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(70)
	}
	os.Exit(status)
}

func run(o options) (status int, err error) {
	role := history.Main
	switch o.stage {
	case "session": // first fork: a new session, whose leader ends at once
		return 0, again("grandchild", false)
	case "grandchild":
		role = history.Grandchild
		o.exitAfter, o.crashFile, o.register, o.ignoreTerm = 0, "", "", true
	}
	id, err := journal.FromEnv(role)
	if err != nil {
		return 0, err
	}
	w, err := journal.Open(o.dir, id)
	if err != nil {
		return 0, err
	}
	if o.detach && o.stage == "" {
		if err := again("session", true); err != nil {
			return 0, err
		}
	}
	if o.register != "" {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		return live(o, w, writer(ctx, o, w, id))
	}
	return live(o, w, nil)
}

// live ticks until something ends the process. It tells write of every o.every-th tick; a busy writer misses some.
func live(o options, w *journal.Writer, write chan<- struct{}) (status int, err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	ticks := time.NewTicker(o.tick)
	defer ticks.Stop()
	var end <-chan time.Time
	if o.exitAfter > 0 {
		end = time.After(o.exitAfter)
	}
	for n := 1; ; n++ {
		select {
		case <-signals:
			if !o.ignoreTerm {
				return 0, w.Stop("SIGTERM")
			}
			continue
		case <-end:
			return o.exitCode, w.Stop("-exit-after")
		case <-ticks.C:
		}
		if err := w.Tick(); err != nil {
			return 0, err
		}
		if o.crashFile != "" && os.Remove(o.crashFile) == nil {
			return o.exitCode, w.Stop("-crash-file")
		}
		if write != nil && n%max(o.every, 1) == 0 {
			select {
			case write <- struct{}{}:
			default:
			}
		}
	}
}

// writer writes to the register, one write at a time, until the process ends.
func writer(ctx context.Context, o options, w *journal.Writer, id journal.Identity) chan<- struct{} {
	wanted := make(chan struct{}, 1)
	go func() {
		client := register.Client{Addr: o.register}
		for {
			select {
			case <-ctx.Done():
				return
			case <-wanted:
			}
			accepted, err := client.Write(ctx, id.Key, id.Node, id.Incarnation)
			if err != nil {
				continue // a register that is away is no concern of the journal's
			}
			if err := w.Effect(accepted); err != nil {
				return
			}
		}
	}()
	return wanted
}

// again runs this program once more with the same arguments, as another stage, and does not wait for it.
func again(stage string, session bool) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(exe, append(slices.Clone(os.Args), "-stage", stage), &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{null, null, null}, Sys: &syscall.SysProcAttr{Setsid: session},
	})
	if err != nil {
		return err
	}
	if stage == "session" {
		_, err = p.Wait() // the leader of the new session ends at once
	}
	return err
}
