package guardian

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxProbes bounds the probes of a node that are under way; further ones wait.
	maxProbes = 256
	// probeLater is how long one that waits waits.
	probeLater = 50 * time.Millisecond
	// maxProbeWords bounds what is told of a probe's output, in bytes: the last of it.
	maxProbeWords = 512
)

// A probe is a liveness probe under way.
type probe struct {
	n       uint64             // in the vigil
	number  uint64             // in messages, of a command; 0 = it is none
	cancel  context.CancelFunc // of one that is none
	output  *output
	words   *words
	pumped  chan struct{} // closed when output has come to its end
	pid     int           // guarded by Runner.mu
	charge  *charge
	exiting bool // its exit was told
}

// probed is the end of a probe.
type probed struct {
	n   uint64
	why string
}

// words are the last ones of a probe.
type words struct{ text []byte }

func (w *words) Write(p []byte) (int, error) {
	w.text = append(w.text, p...)
	if over := len(w.text) - maxProbeWords; over > 0 {
		w.text = append(w.text[:0], w.text[over:]...)
	}
	return len(p), nil
}

func (w *words) release() {}

// String is the words on one line.
func (w *words) String() string {
	return strings.ToValidUTF8(strings.Join(strings.FieldsFunc(string(w.text), func(r rune) bool { return r == '\n' || r == '\r' }), "; "), "\uFFFD")
}

// watchOver begins the vigil over a command that has started.
func (r *Runner) watchOver(c *charge) {
	if c.program.Liveness == nil {
		return
	}
	c.vigil = newVigil(*c.program.Liveness, now())
	r.keepVigil(c)
}

// keepVigil does what is due for a command's probes.
func (r *Runner) keepVigil(c *charge) {
	v := c.vigil
	r.mu.Lock()
	results := c.probed
	c.probed = nil
	r.mu.Unlock()
	for _, p := range results {
		v.result(p.n, p.why)
	}
	for {
		act, again := v.turn(now())
		if why := v.verdict(); why != "" {
			c.hung, c.forced = why, why
			r.endVigil(c)
			r.signal(c, unix.SIGKILL)
			return
		}
		switch act {
		case vigilProbes:
			r.beginProbe(c)
			continue
		case vigilEnds:
			r.endProbe(c.probe)
			continue
		}
		if c.ring != nil {
			c.ring.Stop()
		}
		name := id{c.spawn.Key, c.spawn.Inc}
		c.ring = time.AfterFunc(time.Duration(again-now()), func() { r.touch(name, func(*charge) {}) })
		return
	}
}

// endVigil ends what is done for a command's probes.
func (r *Runner) endVigil(c *charge) {
	if c.vigil == nil {
		return
	}
	if c.ring != nil {
		c.ring.Stop()
	}
	if c.vigil.underway {
		r.endProbe(c.probe)
	}
	c.vigil = nil
}

func (r *Runner) beginProbe(c *charge) {
	if r.probes.Load() >= maxProbes || r.guardian == nil {
		c.vigil.postpone(now() + int64(probeLater))
		return
	}
	p := &probe{n: c.vigil.n, charge: c}
	c.probe = p
	if l := c.vigil.spec; l.Command != nil {
		r.runProbe(p)
	} else {
		ctx, cancel := context.WithTimeout(r.probing(), time.Duration(l.Timeout))
		p.cancel = cancel
		r.probes.Add(1)
		r.work.Go(func() {
			defer r.probes.Add(-1)
			defer cancel()
			var err error
			if l.TCP != "" {
				err = probeTCP(ctx, l.TCP)
			} else {
				err = probeHTTP(ctx, l.HTTP)
			}
			r.ended(p, wordsOf(err, l.Timeout.Std()))
		})
	}
}

// ended tells the runner's goroutine how a probe ended.
func (r *Runner) ended(p *probe, why string) {
	s := p.charge.spawn
	r.touch(id{s.Key, s.Inc}, func(c *charge) { c.probed = append(c.probed, probed{p.n, why}) })
}

// endProbe ends a probe that takes too long, or is of no use any more.
func (r *Runner) endProbe(p *probe) {
	switch {
	case p.cancel != nil:
		p.cancel()
	case r.loop.probes[p.number] == p && !p.exiting && r.guardian != nil && !r.loop.leaving:
		r.send(order{Signal: &signalling{ID: p.number, Signal: int(unix.SIGKILL)}}, -1)
	}
}

// runProbe has the guardian run a probe's command beside the one that it is for.
func (r *Runner) runProbe(p *probe) {
	p.words, p.pumped = &words{}, make(chan struct{})
	var err error
	if p.output, err = newOutput(p.words); err != nil {
		r.ended(p, err.Error())
		return
	}
	r.loop.last++
	p.number = r.loop.last
	ask := p.charge.asks
	ask.ID, ask.Of = p.number, p.charge.number
	if err := r.guardian.send(order{Spawn: &ask}, p.output.write, p.charge.cgroup.descriptor(&ask)); err != nil {
		p.output.discard()
		r.ended(p, err.Error())
		return
	}
	r.loop.probes[p.number] = p
	r.probes.Add(1)
	p.output.handedOver()
	r.work.Go(func() {
		defer close(p.pumped)
		p.output.pump()
	})
}

// onProbeStarted is the guardian's answer to the order to run one.
func (r *Runner) onProbeStarted(p *probe, s started) {
	if s.PID != 0 {
		r.mu.Lock()
		p.pid, p.charge.probePID = s.PID, s.PID
		r.mu.Unlock()
		return
	}
	why := "it could not be started: its command is ending"
	if s.Errno != 0 {
		why = cannotStart(syscall.Errno(s.Errno), p.charge.asks.Path, p.charge.asks.Dir)
	}
	r.overProbe(p, why)
}

// onProbeExit is its end: nothing of it is left.
func (r *Runner) onProbeExit(p *probe, status syscall.WaitStatus) {
	why := ""
	if !status.Exited() || status.ExitStatus() != 0 {
		why = describe(status)
	}
	r.overProbe(p, why)
}

func (r *Runner) overProbe(p *probe, why string) {
	p.exiting = true
	delete(r.loop.probes, p.number)
	r.probes.Add(-1)
	r.mu.Lock()
	if p.pid != 0 && p.charge.probePID == p.pid {
		p.charge.probePID = 0
	}
	r.mu.Unlock()
	p.output.finish()
	r.work.Go(func() { // its last words may be on their way
		<-p.pumped
		if text := p.words.String(); why != "" && text != "" {
			why += ": " + text
		}
		r.ended(p, why)
	})
}

// loseProbes forgets the probes of a guardian that is lost.
func (r *Runner) loseProbes() {
	for number, p := range r.loop.probes {
		delete(r.loop.probes, number)
		r.probes.Add(-1)
		p.output.finish()
	}
}

func probeTCP(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// probeHTTP asks once, follows nothing, and trusts whoever answers: that it is alive is all that is asked.
func probeHTTP(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "supnode-liveness")
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 399 {
		return fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return nil
}

// wordsOf is what an error says of a probe.
func wordsOf(err error, timeout time.Duration) string {
	var late net.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &late) && late.Timeout():
		return noAnswer(timeout)
	}
	return err.Error()
}

// probing is the context of probes: it ends with the session, so that none outlives its lease.
func (r *Runner) probing() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leased
}
