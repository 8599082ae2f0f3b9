package leader

import (
	"strings"

	"github.com/supnode/supnode/fsm"
)

// execDelay is how long a refusal waits before it proves the death of a node that runs commands (P2).
const execDelay = 100e6

// execBehavior is the built-in behavior whose children are processes.
const execBehavior = "exec"

// death is when somebody may have to be declared dead, and when a probe is to be asked for again.
type death struct{ next, probeAt Instant }

func newDeath() death { return death{next: never, probeAt: never} }

// look makes sure that the sessions are looked at by at.
func (d *death) look(at Instant) { d.next = min(d.next, at) }

// probeSilent probes every live node at once: a new leader has heard of none yet (P2).
func (m *Machine) probeSilent() {
	for n := range m.st.Nodes() {
		m.probe(m.know(n))
	}
}

// probe asks whether anything listens where a silent live node did. Only a refusal is a proof, and only where the settings
// say that a refusal can be trusted.
func (m *Machine) probe(v *member) {
	if v.name == m.cfg.Name || !v.live || v.down || v.stream != nil || v.probing {
		return
	}
	n := m.st.Node(v.name)
	switch m.st.Settings().FastFailover {
	case "refused":
	case "loopback":
		if !loopback(n.Addr) {
			return
		}
	default:
		return
	}
	v.probing, v.redial = true, 0
	m.do(Probe{Node: v.name, Session: v.session, Addr: n.Addr})
}

// stopProbe ends a probe because the session was heard of.
func (m *Machine) stopProbe(v *member) {
	if v.probing {
		m.do(ProbeStop{Node: v.name, Session: v.session})
	}
	v.probing, v.proof, v.redial = false, 0, 0
}

// probed takes a probe's result for the session that was read before the dial.
func (m *Machine) probed(ev Probed) {
	v := m.members[ev.Node]
	if v == nil || !v.probing || !v.live || v.session != ev.Session || v.down || v.connected() {
		return
	}
	v.probing = false
	if !ev.Refused {
		v.redial = m.now + m.st.Lease().H
		m.death.probeAt = min(m.death.probeAt, v.redial)
		return
	}
	v.proof = m.now
	for _, b := range m.st.Node(v.name).Behaviors {
		if b == execBehavior {
			v.proof += execDelay
		}
	}
	m.death.look(v.proof)
}

// probeAgain asks again for probes that ended without a proof.
func (m *Machine) probeAgain() {
	if m.now < m.death.probeAt {
		return
	}
	m.death.probeAt = never
	for n := range m.st.Nodes() {
		v := m.know(n)
		switch {
		case v.redial == 0:
		case m.now >= v.redial:
			v.redial = 0
			m.probe(v)
		default:
			m.death.probeAt = min(m.death.probeAt, v.redial)
		}
	}
}

// declareDead proposes the end of the sessions that are proven dead (P2) or have outlived every lease that they may hold
// (L1–L3).
func (m *Machine) declareDead() {
	if m.now < m.death.next {
		return
	}
	m.death.next = never
	for n := range m.st.Nodes() {
		v := m.know(n)
		switch {
		case !v.live || v.down:
		case v.proof != 0 && m.now >= v.proof:
			m.declare(v, WhyRefused)
		case m.now > v.expiry && m.now >= m.l3:
			m.declare(v, WhyLeaseOver)
		default:
			m.death.look(max(v.expiry+1, m.l3))
			if v.proof != 0 {
				m.death.look(v.proof)
			}
		}
	}
}

// How a node was lost; a child's last_exit.detail says it after the node's name.
const (
	WhyRefused   = "its port refused connections"
	WhyLeaseOver = "its lease ended without being renewed"
)

// declare stops granting to a session, and then proposes its end (L4).
func (m *Machine) declare(v *member, why string) {
	v.down = true
	if v.probing {
		m.stopProbe(v)
	}
	m.queues.own = append(m.queues.own, newItem(fsm.Command{NodeDown: &fsm.NodeDown{Node: v.name, Session: v.session, Why: "node " + string(v.name) + " was lost: " + why}}, 0))
}

// loopback reports whether host:port is on this machine.
func loopback(addr string) bool {
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		return false
	}
	host := strings.Trim(addr[:i], "[]")
	if host == "localhost" || host == "::1" {
		return true
	}
	return strings.HasPrefix(host, "127.") && strings.Trim(host, "0123456789.") == ""
}
