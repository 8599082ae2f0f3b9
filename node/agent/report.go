package agent

import (
	"slices"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// reports are those that no leader has acknowledged yet, in the order in which things happened (A5).
type reports struct {
	queue []*report // acknowledged ones stay until they are in front
	open  map[reportID]*report
}

type report struct {
	fsm.Report
	stream uint64 // on which it was sent last; 0 = never
	sent   Instant
	acked  bool
}

// reportID: an incarnation begins once, is told once to hang, and ends once.
type reportID struct {
	key  sup.Key
	inc  sup.Incarnation
	kind fsm.ReportKind // ReportEnded for every end
}

func idOf(k sup.Key, inc sup.Incarnation, kind fsm.ReportKind) reportID {
	if kind.Final() {
		kind = fsm.ReportEnded
	}
	return reportID{k, inc, kind}
}

func newReports() reports { return reports{open: map[reportID]*report{}} }

func (r *reports) full() bool { return len(r.open) >= maxReports }

// add queues a report; one that waits already is sent again.
func (r *reports) add(x fsm.Report) {
	id := idOf(x.Key, x.Inc, x.Kind)
	if old := r.open[id]; old != nil {
		old.stream = 0
		return
	}
	n := &report{Report: x}
	r.open[id] = n
	r.queue = append(r.queue, n)
}

// repeat sends the end of an incarnation again, if it still waits to be acknowledged.
func (r *reports) repeat(k sup.Key, inc sup.Incarnation) bool {
	old := r.open[reportID{k, inc, fsm.ReportEnded}]
	if old == nil {
		return false
	}
	old.stream = 0
	return true
}

// ack drops what is committed or stale. With the end of an incarnation its beginning is of no interest either.
func (r *reports) ack(a rpc.Ack) {
	r.remove(idOf(a.Key, a.Inc, a.Kind))
	if a.Kind.Final() {
		r.remove(reportID{a.Key, a.Inc, fsm.ReportRunning})
		r.remove(reportID{a.Key, a.Inc, fsm.ReportHanging})
	}
	for len(r.queue) > 0 && r.queue[0].acked {
		r.queue[0] = nil
		r.queue = r.queue[1:]
	}
	if len(r.queue) > 2*len(r.open)+rpc.MaxBatch {
		r.queue = slices.DeleteFunc(r.queue, func(x *report) bool { return x.acked })
	}
}

func (r *reports) remove(id reportID) {
	if x := r.open[id]; x != nil {
		x.acked = true
		delete(r.open, id)
	}
}

func (m *Machine) report(x fsm.Report) { m.reports.add(x) }

// flush sends the reports that are new or due again, in frames of at most rpc.MaxBatch; further ones wait until the
// oldest maxInFlight are acknowledged.
func (m *Machine) flush() {
	if m.session.IsZero() || !m.usable() {
		return
	}
	var batch []fsm.Report
	n := 0
	for _, r := range m.reports.queue {
		if r.acked {
			continue
		}
		if n++; n > maxInFlight {
			break
		}
		if r.stream == m.stream.id && m.now < r.sent+m.period() {
			m.due(r.sent + m.period())
			continue
		}
		r.stream, r.sent = m.stream.id, m.now
		m.due(m.now + m.period())
		if batch = append(batch, r.Report); len(batch) == rpc.MaxBatch {
			m.ask(rpc.FromAgent{Reports: batch})
			batch = nil
		}
	}
	if len(batch) > 0 {
		m.ask(rpc.FromAgent{Reports: batch})
	}
}
