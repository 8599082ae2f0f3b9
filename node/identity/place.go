package identity

import (
	"fmt"
	"os"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// place is where a state.db lies. A copy has another inode or device, a clone of a disk another machine id or device.
type place struct {
	device, inode uint64
	machine       string // empty where the host has no machine id, as in some containers
}

func (p place) String() string {
	m := p.machine
	if m == "" {
		m = "without id"
	}
	return fmt.Sprintf("inode %d of device %d:%d on machine %s", p.inode, unix.Major(p.device), unix.Minor(p.device), m)
}

// machineIDs are the files that hold a machine's id; the first that has one counts.
var machineIDs = []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}

// locate says where a file lies.
func locate(path string) (place, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return place{}, fmt.Errorf("stat %s: %w", path, err)
	}
	p := place{device: st.Dev, inode: st.Ino}
	for _, f := range machineIDs {
		if b, err := os.ReadFile(f); err == nil {
			if p.machine = strings.TrimSpace(string(b)); p.machine != "" {
				break
			}
		}
	}
	return p, nil
}

// CopiedError says that a data directory is not where it was made.
type CopiedError struct {
	Dir        string
	Node       sup.NodeName
	made, here place
}

func (e *CopiedError) Error() string {
	return fmt.Sprintf("the data directory %s of node %s is a copy, or was moved to another disk or machine (made as %v, now %v): "+
		"two directories with one identity would be one node twice. If the original will never be started again, run once: supnode node adopt %s. "+
		"If it will, start this node with an empty node.data_dir and a node.name of its own", e.Dir, e.Node, e.made, e.here, e.Dir)
}
