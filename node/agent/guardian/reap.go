package guardian

import (
	"errors"
	"time"
	"unsafe"

	"github.com/supnode/supnode/node/agent"
	"golang.org/x/sys/unix"
)

const (
	// maxReaps bounds the children reaped in one turn.
	maxReaps = 1024
	// doubtFor is how long a stray of unknown origin may be between two programs, where it has no environment, before it is
	// taken for the ended command's.
	doubtFor = 10 * time.Millisecond
	// deepAfter is how long dying may take before the descendants of the dying are killed too, rather than when they come up,
	// and the pause before they are looked for again.
	deepAfter = 20 * time.Millisecond
)

// purge kills everything that the guardian knows of, and everything that comes up, until nothing is left.
func (w *warden) purge() {
	w.dying()
	w.purging, w.sweepAt = true, 0
	for pid := range w.leaders {
		_ = unix.Kill(-pid, unix.SIGKILL)
		w.doom(pid, now())
	}
}

// dying notes when the oldest thing that is to die began to.
func (w *warden) dying() {
	if !w.purging && w.ending == 0 {
		w.since = now()
	}
}

// reap takes the children that are dead; none is left when it returns true.
func (w *warden) reap() (none bool) {
	for range maxReaps {
		pid, err := deadChild()
		if err != nil {
			return errors.Is(err, unix.ECHILD)
		}
		if pid == 0 {
			return false
		}
		c := w.leaders[pid]
		if c != nil {
			// While the zombie is there its number names this group and no other. Whoever is in it dies at this moment.
			_ = unix.Kill(-pid, unix.SIGKILL)
		}
		var status unix.WaitStatus
		if got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err != nil || got != pid {
			return false
		}
		delete(w.owners, pid)
		delete(w.doubts, pid)
		delete(w.doomed, pid)
		if c != nil {
			w.dying()
			delete(w.leaders, pid)
			c.state, c.status = ended, uint32(status)
			w.ending++
			if p := c.probe; p != nil {
				w.signal(p.id, unix.SIGKILL)
			}
		}
	}
	return false
}

// deadChild names a child that is dead and leaves it so; 0 when none is.
func deadChild() (int, error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		// The pid is the first field of siginfo's union, which is aligned as a pointer is.
		const align = unsafe.Alignof(uintptr(0))
		const union = (3*unsafe.Sizeof(int32(0)) + align - 1) / align * align
		return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), union))), nil
	}
}

// sweep kills the strays of commands that have ended: descendants that were left to the guardian because those above them
// died. A command with none left is gone, and reported so. When everything is to die every child is a stray.
//
// Nothing escapes: when a command is dead each of its descendants is or hangs under a child of the guardian, and the list of
// the guardian's children is exact, because it grows at its end and only reap, which is not running, shortens it.
func (w *warden) sweep() {
	began := now()
	if !w.purging && w.ending == 0 || began < w.sweepAt {
		return
	}
	children, err := w.children.list()
	if err != nil {
		return // the next round tries again; nothing is reported on a guess
	}
	if w.purging {
		w.sweepAll(children, began)
	} else {
		w.sweepEnded(children, began)
	}
	w.sweepAt = now() + 2*(now()-began)
}

// sweepAll kills every child, and asks of none whose it is: commands are gone when no stray is left.
func (w *warden) sweepAll(children []int, t agent.Instant) {
	for _, pid := range children {
		w.doom(pid, t)
	}
	if len(children) == len(w.leaders) {
		w.conclude(nil)
	}
	w.purging = len(children) > 0
}

// sweepEnded kills the strays of the commands that have ended.
func (w *warden) sweepEnded(children []int, t agent.Instant) {
	busy := map[*command]bool{}
	for _, pid := range children {
		if w.leaders[pid] == nil && w.strays(pid, busy) {
			w.doom(pid, t)
		}
	}
	w.conclude(busy)
}

// conclude calls those of the ended commands gone that are not busy with strays.
func (w *warden) conclude(busy map[*command]bool) {
	if w.ending == 0 {
		return
	}
	for _, c := range w.commands {
		if c.state == ended && !busy[c] && c.probe == nil { // else the next round
			c.state = gone
			if c.of != nil {
				c.of.probe = nil
			}
			w.ending--
			w.tellExit(c)
		}
	}
}

// doom kills a child, and those below it when it takes long to die.
func (w *warden) doom(pid int, t agent.Instant) {
	due, doomed := w.doomed[pid]
	switch {
	case !doomed:
		_ = unix.Kill(pid, unix.SIGKILL)
	case t < due:
		return
	default:
		killTree(pid, 0)
	}
	w.doomed[pid] = t + int64(deepAfter)
}

// strays says whether a stray is to be killed, and notes the commands that cannot be called gone before it is.
func (w *warden) strays(pid int, busy map[*command]bool) (kill bool) {
	owner, known := w.owners[pid]
	if !known {
		t := readTag(pid)
		owner, known = w.tags[t]
		if known {
			w.owners[pid] = owner // until it is reaped, whatever program it becomes
		} else if t.nodeID != "" && t.nodeID == w.nodeID {
			return true // of a command that was gone
		}
	}
	if known {
		if owner.state == ended {
			busy[owner] = true
		}
		return owner.state != running
	}
	// It has wiped its environment or wears another's: it may be of any command that is not younger than itself.
	first, doubted := w.doubts[pid]
	if !doubted {
		first = now()
		w.doubts[pid] = first
	}
	s, readable := readStat(pid)
	for _, c := range w.commands {
		// A probe leaves what is unknown to its command: it would be there every few seconds to take what is another's.
		if c.state == ended && c.of == nil && (!readable || c.start <= s.start) {
			busy[c] = true
			kill = true
		}
	}
	return kill && now()-first >= int64(doubtFor)
}
