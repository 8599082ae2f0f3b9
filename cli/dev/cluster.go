package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/cli/eventline"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// Options of Run.
type Options struct {
	Nodes    int    // 1, 3 or 5
	Dir      string // empty: a fresh temporary directory, removed at the end
	BasePort int    // node ports from BasePort+1, admin ports from BasePort+1001

	Executable string   // the supnode program
	Env        []string // for its processes, beside this process's own
	Command    string   // how a person calls the program, for the hints
	Out        io.Writer
}

// The patience of Run.
const (
	readyWithin  = time.Minute
	restartAfter = 3 * time.Second // long enough to see the others take over
)

// cluster is the running cluster. Everything in it belongs to the goroutine of Run.
type cluster struct {
	Options
	members   []member
	processes map[string]*process // the last one of each member
	launcher  *launcher
	exits     chan *process
	events    chan sup.Event
	lines     *eventline.Writer
	fresh     bool      // the directory is temporary
	parent    int       // the process that started this one
	began     time.Time // when the processes were started; older events are not told again
}

// Run runs a cluster until ctx ends, then stops it and removes what it made.
func Run(ctx context.Context, o Options) (err error) {
	c := &cluster{Options: o, processes: map[string]*process{}, exits: make(chan *process), events: make(chan sup.Event),
		lines: eventline.New(o.Out), parent: os.Getppid()}
	cleanup, err := c.prepare()
	defer func() { err = errors.Join(err, cleanup()) }()
	if err != nil {
		return err
	}
	c.launcher = newLauncher(o.Executable, o.Env)
	defer c.launcher.close()
	defer c.stop()
	c.began = time.Now()
	for _, m := range c.members {
		if err := c.launch(m); err != nil {
			return err
		}
	}
	if err := c.awaitReady(ctx); err != nil {
		return orInterrupted(ctx, err)
	}
	return orInterrupted(ctx, c.run(ctx))
}

// orInterrupted: what fails because the person stopped it has not failed.
func orInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// prepare makes the directory and the config files; the function that it returns removes what should not stay.
func (c *cluster) prepare() (cleanup func() error, err error) {
	cleanup = func() error { return nil }
	if c.Dir == "" {
		c.fresh = true
		if c.Dir, err = os.MkdirTemp("", "supnode-dev-"); err != nil {
			return cleanup, fmt.Errorf("make a directory for the data: %w", err)
		}
		cleanup = func() error { return removeAll(c.Dir) }
	} else {
		if c.Dir, err = filepath.Abs(c.Dir); err != nil {
			return cleanup, fmt.Errorf("find the directory for the data: %w", err)
		}
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return cleanup, fmt.Errorf("make the directory for the data: %w", err)
		}
	}
	release, err := takeDir(c.Dir)
	if err != nil {
		return cleanup, err
	}
	remove := cleanup
	cleanup = func() error { return errors.Join(remove(), release()) }
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		return cleanup, fmt.Errorf("find the shell for the demo: %w", err)
	}
	c.members = members(c.Nodes, c.BasePort, c.Dir)
	if err := portsFree(c.members); err != nil {
		return cleanup, err
	}
	for _, m := range c.members {
		if err := writeConfig(m, c.members, shell); err != nil {
			return cleanup, fmt.Errorf("write a config file: %w", err)
		}
	}
	return cleanup, nil
}

// takeDir keeps a second cluster out of a directory: it would write its own config files over those that the first one
// still starts its nodes from.
func takeDir(dir string) (release func() error, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the directory for the data: %w", err)
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another supnode dev runs in %s: stop it, or choose another --dir", dir)
		}
		return nil, fmt.Errorf("lock the directory for the data: %w", err)
	}
	return d.Close, nil
}

// removeAll removes a directory that processes which have just ended may still be filling.
func removeAll(dir string) error {
	var err error
	for range 20 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("remove the data: %w", err)
}

// launch starts a member's process and has its end reported.
func (c *cluster) launch(m member) error {
	p, err := c.launcher.start(m)
	if err != nil {
		return err
	}
	c.processes[m.name] = p
	go func() {
		<-p.done
		c.exits <- p // Run or stop takes it
	}()
	return nil
}

// stop ends every process and waits until all have ended.
func (c *cluster) stop() {
	var ps []*process
	for _, p := range c.processes {
		ps = append(ps, p)
	}
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for n := len(c.processes); n > 0; n-- {
			<-c.exits
		}
	}()
	stopAll(ps)
	<-taken
}

// awaitReady waits until every node says that it is ready.
func (c *cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for _, m := range c.members {
		cl, err := client.New([]string{m.url()}, "")
		if err != nil {
			return err
		}
		defer cl.Close()
		for {
			err := cl.Get(ctx, &struct{}{}, nil, "readyz")
			if err == nil {
				break
			}
			select {
			case p := <-c.exits:
				delete(c.processes, p.member.name)
				return fmt.Errorf("%s %s while starting; the end of its log:\n%s", p.member.name, p.ended, tail(p.member.log))
			case <-ctx.Done():
				return fmt.Errorf("%s is not ready after %s: %w; the end of its log:\n%s", m.name, readyWithin, err, tail(m.log))
			case <-time.After(lookEvery):
			}
		}
	}
	return nil
}

// tailLines is how much of a log is shown.
const tailLines = 10

func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-tailLines):], "\n  ")
}

// run starts the demo, then tells what happens and brings back who dies.
func (c *cluster) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var nodes []*client.Client
	var urls []string
	for _, m := range c.members {
		cl, err := client.New([]string{m.url()}, "")
		if err != nil {
			cancel()
			return err
		}
		nodes, urls = append(nodes, cl), append(urls, m.url())
	}
	all, err := client.New(urls, "")
	if err != nil {
		cancel()
		return err
	}
	following := make(chan struct{})
	defer func() {
		cancel()
		<-following
		for _, cl := range append(nodes, all) {
			cl.Close()
		}
	}()
	since, err := before(ctx, all, c.began)
	if err == nil {
		err = startDemo(ctx, all)
	}
	if err != nil {
		close(following)
		return err
	}
	if err := c.welcome(ctx, all); err != nil {
		close(following)
		return err
	}
	go func() {
		defer close(following)
		follow(ctx, nodes, since, c.events)
	}()
	return c.tell(ctx)
}

// tell prints events and brings dead nodes back until ctx ends.
func (c *cluster) tell(ctx context.Context) error {
	again := make(chan member, len(c.members))
	orphan := time.NewTicker(time.Second)
	defer orphan.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintf(c.Out, "\nstopping everything\n")
			return nil
		case e := <-c.events:
			if err := c.lines.Write(e); err != nil {
				return err
			}
		case p := <-c.exits:
			delete(c.processes, p.member.name)
			c.note("%s (pid %d) %s; it is started again in %s", p.member.name, p.pid(), p.ended, restartAfter)
			time.AfterFunc(restartAfter, func() { again <- p.member })
		case m := <-again:
			if err := c.launch(m); err != nil {
				return err
			}
			c.note("%s is started again, pid %d", m.name, c.processes[m.name].pid())
		case <-orphan.C:
			// go run does not pass a TERM on: when it is gone, nobody is left who could stop this.
			if UnderGoRun(c.Executable) && os.Getppid() != c.parent {
				return nil
			}
		}
	}
}

func (c *cluster) note(format string, args ...any) {
	fmt.Fprintf(c.Out, "%s  -- %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// goRun matches a program that go run has built, for this one time.
var goRun = regexp.MustCompile(`/go-build\d+/b\d+/exe/`)

// UnderGoRun reports whether a program was built by go run.
func UnderGoRun(executable string) bool { return goRun.MatchString(executable) }
