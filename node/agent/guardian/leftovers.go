package guardian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// leftoverRound is the pause between two looks for processes that are being killed.
const leftoverRound = 2 * time.Millisecond

// KillLeftovers kills every process whose environment says that it belongs to the node with this UUID, until none is left,
// and says how many it killed. A node does so before it registers, with its locks held (P1). It fails when ctx ends first;
// the error names a process that lives.
func KillLeftovers(ctx context.Context, nodeID string) (killed int, err error) {
	if nodeID == "" {
		return 0, errors.New("kill leftovers: no node id")
	}
	seen := map[int]uint64{} // with their starts
	for {
		living, refused := 0, error(nil)
		for pid, start := range seen { // a dying process loses its environment before its files and sockets
			if s, there := readStat(pid); there && s.start == start && s.state != 'Z' && s.state != 'X' {
				living = pid
			}
		}
		for _, pid := range leftovers(nodeID) {
			living = pid
			if s, there := readStat(pid); there {
				seen[pid] = s.start
			}
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				refused = err
			}
		}
		if living == 0 {
			return len(seen), nil
		}
		select {
		case <-ctx.Done():
			return len(seen), fmt.Errorf("process %d, left over from an earlier run of this node, cannot be killed; end it by hand: %w",
				living, errors.Join(refused, ctx.Err()))
		case <-time.After(leftoverRound):
		}
	}
}

// leftovers lists the processes with the node's tag, but for this one.
func leftovers(nodeID string) (list []int) {
	for _, pid := range pids() {
		if pid != os.Getpid() && bears(pid, nodeID) {
			list = append(list, pid)
		}
	}
	return list
}

// bears says whether the process has the node's tag. When its first thread has ended the others still have it.
func bears(pid int, nodeID string) bool {
	if readTag(pid).nodeID == nodeID {
		return true
	}
	s, alive := readStat(pid)
	if !alive || s.state != 'Z' {
		return false
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) < 2 {
		return false
	}
	for _, thread := range threads {
		if readTagAt(fmt.Sprintf("/proc/%d/task/%s/environ", pid, thread.Name())).nodeID == nodeID {
			return true
		}
	}
	return false
}
