package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/journal"
	"golang.org/x/sys/unix"
)

// look is how long a watch waits for a notice before it looks anyway, should the kernel have dropped one.
const look = 250 * time.Millisecond

// journals is a folder of journals under watch: the kernel tells when one grows, so that waiting costs nothing.
type journals struct {
	*journal.Reader
	dir     string
	notices *os.File
}

// watch makes the folder dir and watches it.
func watch(dir string) (*journals, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	j := &journals{Reader: journal.NewReader(dir), dir: dir, notices: os.NewFile(uintptr(fd), "inotify")}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY); err != nil {
		return nil, errors.Join(fmt.Errorf("watch %s: %w", dir, err), j.close())
	}
	return j, nil
}

func (j *journals) close() error { return j.notices.Close() }

// forget drops the notices that there are already.
func (j *journals) forget() error {
	_, err := j.wait(math.MaxInt, time.Millisecond)
	return err
}

// wait waits for n notices, and gives up once none comes for that long.
func (j *journals) wait(n int, quiet time.Duration) (seen int, err error) {
	buffer := make([]byte, 16<<10)
	for seen < n {
		if err := j.notices.SetReadDeadline(time.Now().Add(quiet)); err != nil {
			return seen, err
		}
		got, err := j.notices.Read(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return seen, nil
		}
		if err != nil {
			return seen, fmt.Errorf("watch %s: %w", j.dir, err)
		}
		seen += count(buffer[:got])
	}
	return seen, nil
}

// count is the number of inotify's notices in b.
func count(b []byte) (n int) {
	for len(b) >= unix.SizeofInotifyEvent {
		name := int(binary.NativeEndian.Uint32(b[unix.SizeofInotifyEvent-4:])) // its length is the last field
		b = b[min(unix.SizeofInotifyEvent+name, len(b)):]
		n++
	}
	return n
}

// until waits until ok says yes to all lives, and returns them; the error says why it did not within limit. It does not
// look before n records have come, so that looking does not slow what is looked for.
func (j *journals) until(n int, limit time.Duration, ok func([]history.Life) error) ([]history.Life, error) {
	for end := time.Now().Add(limit); ; n = 1 {
		if _, err := j.wait(n, look); err != nil {
			return nil, err
		}
		lives, err := j.Lives()
		if err != nil {
			return nil, err
		}
		why := ok(lives)
		if why == nil {
			return lives, nil
		}
		if time.Now().After(end) {
			return lives, fmt.Errorf("gave up after %v: %w", limit, why)
		}
	}
}
