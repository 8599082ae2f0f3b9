package store

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FreeSpace is how many bytes an unprivileged process may still write in dir's file system, and how large that is. A
// node with too little is not ready: the first write that does not fit stops it.
func FreeSpace(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	size := uint64(st.Bsize)
	return st.Bavail * size, st.Blocks * size, nil
}
