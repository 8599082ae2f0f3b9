package store

import (
	"errors"
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

// Explain adds to an error of a disk what a person can do about it.
func Explain(err error) error {
	for _, known := range []struct {
		cause  error
		remedy string
	}{
		{unix.ENOSPC, "free some space on this disk, or enlarge it, and start the node again; nothing that was acknowledged is lost"},
		{unix.EDQUOT, "free some space or raise the quota, and start the node again; nothing that was acknowledged is lost"},
		{unix.EROFS, "mount the file system for writing, and see why it is not (a disk that fails is often made read-only); then start the node again"},
		{unix.EIO, "the disk fails: replace it, put the data directory back if you can read it, else start a node with a new node.name"},
		{unix.EACCES, "let this process's user read and write the data directory and all that is in it"},
	} {
		if errors.Is(err, known.cause) {
			return fmt.Errorf("%w: %s", err, known.remedy)
		}
	}
	return err
}
