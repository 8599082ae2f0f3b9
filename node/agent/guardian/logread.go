package guardian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

const (
	// MaxLogPage bounds what one read gives, in bytes.
	MaxLogPage = 256 << 10
	// MaxLogLines bounds the last lines that are looked for.
	MaxLogLines = 1_000_000
	// maxLogWaiters bounds the reads that wait for output; one more is answered at once.
	maxLogWaiters = 128
)

// A LogCursor is a place in a child's log. It is known by its file, whatever the file is called by then. The zero cursor is where
// the first file will begin.
type LogCursor struct {
	Device uint64 `cbor:"1,keyasint"`
	Inode  uint64 `cbor:"2,keyasint"`
	Born   int64  `cbor:"3,keyasint"` // ns; 0 where the file system doesn't say
	Offset int64  `cbor:"4,keyasint"`
}

func (c LogCursor) sameFile(o LogCursor) bool {
	return c.Device == o.Device && c.Inode == o.Inode && c.Born == o.Born
}

// LogRead asks for a part of a child's log: from a cursor; else from where an incarnation, or a later one, begins; else the last
// Lines.
type LogRead struct {
	Key   sup.Key          `cbor:"1,keyasint"`
	From  *LogCursor       `cbor:"2,keyasint,omitempty"`
	Begin *sup.Incarnation `cbor:"3,keyasint,omitempty"`
	Lines int              `cbor:"4,keyasint,omitempty"` // -1 = all that is kept
	// Wait is how long to wait for something to read when there is nothing, in ns.
	Wait time.Duration `cbor:"5,keyasint,omitempty"`
}

// LogPage answers a LogRead. Without a Next nothing is there yet to go on from: the same is asked again.
type LogPage struct {
	Data []byte     `cbor:"1,keyasint,omitempty"`
	Next *LogCursor `cbor:"2,keyasint,omitempty"`
	// More says that there is more to read now.
	More bool `cbor:"3,keyasint,omitempty"`
	// Lost says that the log was rotated away over what stands between the cursor and Data.
	Lost bool `cbor:"4,keyasint,omitempty"`
	// Incarnation is the one whose output Data is: a page ends where another begins. Zero = one of an earlier supnode process.
	Incarnation sup.Incarnation `cbor:"5,keyasint"`
}

// Read reads a part of a child's log. A log that does not exist is empty.
func (l *Logs) Read(ctx context.Context, q LogRead) (LogPage, error) {
	path := l.path(q.Key)
	if err := l.check(path); err != nil {
		return LogPage{}, fmt.Errorf("log of %s: %w", q.Key, err)
	}
	more, leave := l.listen(path)
	defer leave()
	p, err := l.read(path, q)
	if err != nil || q.Wait <= 0 || len(p.Data) > 0 || p.Lost || ctx.Err() != nil {
		return p, err
	}
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	default:
		return p, nil
	}
	patience := time.NewTimer(q.Wait)
	defer patience.Stop()
	select {
	case <-ctx.Done():
		return p, nil
	case <-patience.C:
	case <-more:
	}
	return l.read(path, q)
}

// A listener is those who wait for a log.
type listener struct {
	more  chan struct{} // closed when something is written
	count int
}

// listen gives what is closed when something is written to a log; leave is to be called.
func (l *Logs) listen(path string) (more <-chan struct{}, leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.told[path]
	if w == nil {
		w = &listener{more: make(chan struct{})}
		l.told[path] = w
	}
	w.count++
	return w.more, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if w.count--; w.count == 0 && l.told[path] == w {
			delete(l.told, path)
		}
	}
}

func (l *Logs) read(path string, q LogRead) (p LogPage, err error) {
	files, err := openLog(path, l.config.MaxFiles)
	if err != nil {
		return LogPage{}, err
	}
	defer files.close()
	l.mu.Lock()
	begins := l.begins[path]
	l.mu.Unlock()
	var at LogCursor
	switch {
	case q.From != nil:
		at = *q.From
	case q.Begin != nil:
		i := slices.IndexFunc(begins, func(b begin) bool { return !b.inc.Less(*q.Begin) })
		if i < 0 {
			return p, nil // it has not begun, or it is not written down that it has
		}
		at = begins[i].at
	case len(files) == 0:
		p.Next = &LogCursor{}
		return p, nil
	default:
		if at, err = files.last(q.Lines); err != nil {
			return LogPage{}, err
		}
	}
	return p, files.page(at, begins, &p)
}

// A logFile is an open file of a log.
type logFile struct {
	*os.File
	id   LogCursor
	size int64
}

// logFiles are the files of a log, the oldest first.
type logFiles []logFile

// openLog opens the files of a log. The newest is opened first: should it be rotated meanwhile it comes twice, and none is missed.
func openLog(path string, most int) (files logFiles, err error) {
	for n := range most {
		f, err := os.OpenFile(rotated(path, n), os.O_RDONLY|unix.O_NONBLOCK, 0)
		if errors.Is(err, os.ErrNotExist) {
			if n == 0 {
				continue // it is just being rotated
			}
			break
		}
		if err != nil {
			files.close()
			return nil, err
		}
		id, err := cursorOf(f)
		info, failed := f.Stat()
		if err = errors.Join(err, failed); err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a regular file", f.Name())
		}
		if err != nil {
			f.Close()
			files.close()
			return nil, err
		}
		if len(files) > 0 && files[0].id.sameFile(id) {
			f.Close()
			continue
		}
		files = append(logFiles{{f, id, info.Size()}}, files...)
	}
	return files, nil
}

func (files logFiles) close() {
	for _, f := range files {
		f.Close()
	}
}

// cursorOf is the beginning of a file.
func cursorOf(f *os.File) (LogCursor, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return LogCursor{}, err
	}
	var s unix.Statx_t
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.Statx(int(fd), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &s)
	})
	if err = errors.Join(err, failed); err != nil {
		return LogCursor{}, os.NewSyscallError("statx", err)
	}
	c := LogCursor{Device: unix.Mkdev(s.Dev_major, s.Dev_minor), Inode: s.Ino}
	if s.Mask&unix.STATX_BTIME != 0 {
		c.Born = s.Btime.Sec*int64(time.Second) + int64(s.Btime.Nsec)
	}
	return c, nil
}

// last is where the last n lines begin; -1 = all of them. What follows the last line's end is a line too.
func (files logFiles) last(n int) (LogCursor, error) {
	buffer := make([]byte, 64<<10)
	newest := len(files) - 1
	if n == 0 {
		return files[newest].at(files[newest].size), nil
	}
	for i := newest; i >= 0 && n > 0; i-- {
		f := files[i]
		for end := f.size; end > 0; {
			from := max(0, end-int64(len(buffer)))
			part := buffer[:end-from]
			if _, err := f.ReadAt(part, from); err != nil && err != io.EOF {
				return LogCursor{}, err
			}
			if i == newest && end == f.size && part[len(part)-1] == '\n' {
				part = part[:len(part)-1] // it ends the last line, and begins none
			}
			for len(part) > 0 {
				newline := bytes.LastIndexByte(part, '\n')
				if newline < 0 {
					break
				}
				if n--; n == 0 {
					return f.at(from + int64(newline) + 1), nil
				}
				part = part[:newline]
			}
			end = from
		}
	}
	return files[0].at(0), nil
}

func (f logFile) at(offset int64) LogCursor {
	c := f.id
	c.Offset = offset
	return c
}

// page reads from a cursor on, over the ends of files, to where another incarnation begins.
func (files logFiles) page(at LogCursor, begins []begin, p *LogPage) error {
	p.Next = &at
	if len(files) == 0 {
		return nil
	}
	i := slices.IndexFunc(files, func(f logFile) bool { return f.id.sameFile(at) })
	if i < 0 || at.Offset > files[i].size {
		p.Lost = at != LogCursor{}
		i, at.Offset = 0, 0
	}
	for ; i < len(files); i++ {
		f := files[i]
		end := files.untilBegin(i, at.Offset, begins, p)
		if room := int64(MaxLogPage - len(p.Data)); end > at.Offset && room > 0 {
			part := make([]byte, min(room, end-at.Offset))
			n, err := f.ReadAt(part, at.Offset)
			if err != nil && err != io.EOF {
				return err
			}
			p.Data = append(p.Data, part[:n]...)
			at.Offset += int64(n)
		}
		at = f.at(at.Offset)
		if at.Offset < f.size || end < f.size {
			p.More = true
			return nil
		}
		if i+1 < len(files) {
			at = files[i+1].at(0)
		}
	}
	return nil
}

// untilBegin is how far a page that has come to a place in file i may go: to the file's end, or to where another incarnation than its
// own begins. An empty page learns which one its own is.
func (files logFiles) untilBegin(i int, offset int64, begins []begin, p *LogPage) (end int64) {
	for _, b := range begins { // in order; those in files that are no more come first
		in := slices.IndexFunc(files, func(f logFile) bool { return f.id.sameFile(b.at) })
		switch {
		case in > i || in == i && b.at.Offset > offset:
			if in == i {
				return b.at.Offset
			}
			return files[i].size
		case in == i && b.at.Offset == offset && len(p.Data) > 0:
			return offset
		case len(p.Data) == 0:
			p.Incarnation = b.inc
		}
	}
	return files[i].size
}
