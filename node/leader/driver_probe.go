package leader

import "context"

// probePause is the least time between two dials of a probe, in ns.
const probePause = 10e6

// probe dials until the port refuses, or the machine stops asking. A connection that is held ends when the process at the
// other end does, or its guardian: then the next dial tells (P0, P2).
func (d *Driver) probe(p Probe) {
	if stop := d.probes[p.Node]; stop != nil {
		stop()
	}
	ctx, stop := context.WithCancel(d.life)
	d.probes[p.Node] = stop
	d.task(func() {
		defer stop()
		for ctx.Err() == nil {
			again := d.o.Clock.Now() + probePause
			if d.o.Probe(ctx, p.Addr) {
				d.put(input{ev: Probed{Node: p.Node, Session: p.Session, Refused: true}})
				return
			}
			rang, release := d.o.Clock.After(again)
			select {
			case <-rang:
			case <-ctx.Done():
			}
			release()
		}
	})
}
