package sim

import (
	"encoding/json"

	sup "github.com/supnode/supnode/supervisor"
)

// lifeKind says where a child lives.
type lifeKind uint8

const (
	command   lifeKind = iota + 1 // a command under the guardian
	inProcess                     // a Go behavior: it lives and stops with the process
)

// The behaviors that every host has.
const (
	behaviorCommand = "exec"
	behaviorGo      = "worker"
)

// life is one real run of a child: from its fork, or its goroutine's start, until nothing of it is left.
type life struct {
	w         *World
	h         *host
	p         *process // that spawned it
	kind      lifeKind
	key       sup.Key
	inc       sup.Incarnation
	session   sup.Session // for which it was spawned
	args      []json.RawMessage
	born      int64
	inited    bool
	dead      bool
	cancelled bool // told to stop at once by its process's fence
	suspended bool // a Go child of a stopped process does nothing
	excused   bool // its end is not promised in time (protocol.md, What is not promised)
	stopping  bool
	asked     int64 // true time at which its supervisor asked it to stop, other than by hand or to move; 0 = it did not
	stubborn  bool  // ignores a stop
	hung      bool  // ignores a fence too: only the end of its process ends it
	orphaned  bool  // its guardian died: supnode reports it once all of them are gone
	dies      int64 // a kill that is under way reaches it then; 0 = none
}

// counts reports whether the life is one that must not overlap another.
func (l *life) counts() bool { return !l.dead && !l.suspended && !l.excused }

// kill ends the life after d, unless it ends before.
func (l *life) kill(d int64, why sup.ExitReason) {
	at := l.w.now + d
	if l.dead || l.dies != 0 && l.dies <= at {
		return
	}
	l.dies = at
	l.w.at(at, tagRunner, func() {
		if !l.dead && l.dies == at {
			l.end(why)
		}
	})
}

// end is the moment when nothing of it is left.
func (l *life) end(why sup.ExitReason) {
	if l.dead {
		return
	}
	l.dead = true
	l.w.ledger.died(l, why)
	for i, o := range l.h.lives {
		if o == l {
			l.h.lives = append(l.h.lives[:i:i], l.h.lives[i+1:]...)
			break
		}
	}
	if !l.p.dead && !l.orphaned {
		l.p.runner.ended(l.key, l.inc, why, !l.inited && !l.stopping)
	}
	if l.kind == command && l.h.guard != nil {
		l.h.guard.reaped()
	}
}

// resumed wakes a Go child with its process. One that comes back after its lease may finish the handler it was in, which
// only the register sees; its process fences first, so within a moment it must be told to stop.
func (l *life) resumed(late bool) {
	l.suspended = false
	if !late {
		return
	}
	l.excused = true
	l.w.ledger.write(l)
	l.w.after(graceOfResume, tagRunner, func() {
		if !l.dead && !l.cancelled && !l.p.paused {
			l.excused = false
			l.w.ledger.overlap(l, "resumed and not fenced")
		}
	})
}

// graceOfResume is how soon after CONT a process must have fenced: its burst of held events takes no longer.
const graceOfResume = 5 * millisecond
