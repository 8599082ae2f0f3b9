package guardian

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

const (
	// maxQueued bounds the pieces of output that wait for a log, of at most pieceSize each.
	maxQueued, pieceSize = 8, 32 << 10
	// stallFor is how long a log that takes nothing is waited for before output is dropped. A command is held up no longer.
	stallFor = time.Second
	// warnEvery is the pause between two warnings of one log.
	warnEvery = time.Minute
)

// errStalled is why output is dropped although nothing has failed.
var errStalled = errors.New("its disk does not answer")

// A commandLog is one child's output. A command is not to notice anything of its log: what cannot be written is dropped, that is
// said once, and the file tells how much is missing where. Files are written by a goroutine of their own, which lives as long
// as there is something to write, for a disk may hang.
type commandLog struct {
	logs *Logs
	path string

	users int // guarded by logs.mu, which is taken after mu

	mu       sync.Mutex // guards what follows
	queue    []piece    // the first is being written
	writing  bool       // its goroutine lives
	progress chan struct{}
	stalled  bool // nothing was taken for stallFor
	lost     int64
	why      error // of what was lost; nil = all is written
	warned   time.Time

	// Of the goroutine that writes.
	file   *os.File
	length int64
	inLine bool            // the last byte ends no line
	fresh  sup.Incarnation // began where the file ends; zero = none
}

// A piece is output, or the begin of an incarnation.
type piece struct {
	text  []byte
	begin sup.Incarnation
}

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

func newCommandLog(l *Logs, path string) *commandLog {
	return &commandLog{logs: l, path: path, progress: make(chan struct{})}
}

// begin notes that what follows is the output of an incarnation.
func (c *commandLog) begin(inc sup.Incarnation) { c.put(piece{begin: inc}) }

// Write takes output. It does not fail, and does not keep p.
func (c *commandLog) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		text := *pieces.Get().(*[]byte)
		text = text[:copy(text[:pieceSize], rest)]
		rest = rest[len(text):]
		c.put(piece{text: text})
	}
	return len(p), nil
}

func (c *commandLog) put(p piece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= maxQueued && !c.stalled {
		c.awaitSpace()
	}
	if len(c.queue) >= maxQueued {
		c.drop(len(p.text), errStalled)
		p.free()
		return
	}
	c.queue = append(c.queue, p)
	if !c.writing {
		c.writing = true
		c.logs.work.Go(c.write)
	}
}

// awaitSpace waits until a piece is taken, c.mu being released meanwhile.
func (c *commandLog) awaitSpace() {
	patience := time.NewTimer(stallFor)
	defer patience.Stop()
	for len(c.queue) >= maxQueued && !c.stalled {
		progress := c.progress
		c.mu.Unlock()
		late := false
		select {
		case <-progress:
		case <-patience.C:
			late = true
		}
		c.mu.Lock()
		c.stalled = late && len(c.queue) >= maxQueued
	}
}

// drop counts what is lost, and says so when it begins. c.mu is held.
func (c *commandLog) drop(n int, why error) {
	c.lost += int64(n)
	c.logs.lost.Add(uint64(n))
	if c.why != nil {
		return
	}
	c.why = why
	c.logs.block(c.path, why)
	if now := time.Now(); now.Sub(c.warned) >= warnEvery || c.warned.IsZero() {
		c.warned = now
		c.logs.logger.Warn("output of a command is dropped: its log cannot be written", "log", c.path, "error", why)
	}
}

// write writes what is queued, and ends when there is nothing more.
func (c *commandLog) write() {
	c.mu.Lock()
	for len(c.queue) > 0 {
		p, lost, why := c.queue[0], c.lost, c.why
		c.mu.Unlock()
		written, noticed, err := c.append(p, lost, why)
		c.mu.Lock()
		c.queue, c.stalled = c.queue[1:], false
		if noticed {
			c.lost -= lost
		}
		switch {
		case err != nil:
			c.drop(len(p.text)-written, err)
		case c.why != nil && c.lost == 0:
			c.why = nil
			c.logs.block(c.path, nil)
			c.logs.logger.Info("a command's log is written again", "log", c.path, "lost_bytes", lost)
		}
		close(c.progress)
		c.progress = make(chan struct{})
		p.free()
		c.logs.tell(c.path)
	}
	c.queue, c.writing = nil, false
	c.closeIfUnused()
	c.mu.Unlock()
}

// closeIfUnused ends a log that has no users and nothing to write. c.mu is held.
func (c *commandLog) closeIfUnused() {
	c.logs.mu.Lock()
	defer c.logs.mu.Unlock()
	if c.users == 0 && !c.writing {
		delete(c.logs.open, c.path)
		delete(c.logs.blocked, c.path)
		c.close()
	}
}

func (p piece) free() {
	if p.text != nil {
		b := p.text[:pieceSize]
		pieces.Put(&b)
	}
}

// append writes a piece, what was lost before it first: noticed says that this is in the file.
func (c *commandLog) append(p piece, lost int64, why error) (written int, noticed bool, err error) {
	if c.file == nil {
		if err := c.openFile(); err != nil {
			return 0, false, err
		}
	}
	if c.length > 0 && c.length+int64(len(p.text)) > c.logs.config.MaxSize {
		if err := c.rotate(); err != nil {
			return 0, false, err
		}
	}
	if lost > 0 {
		notice := fmt.Sprintf("supnode: %d bytes of output are missing here: %v\n", lost, why)
		if c.inLine {
			notice = "\n" + notice
		}
		if _, err := c.add([]byte(notice)); err != nil {
			return 0, false, err
		}
		noticed = true
	}
	if p.text == nil {
		c.markBegin(p.begin)
		return 0, noticed, nil
	}
	written, err = c.add(p.text)
	return written, noticed, err
}

// add appends to the open file.
func (c *commandLog) add(text []byte) (int, error) {
	n, err := c.file.Write(text)
	c.length += int64(n)
	if n > 0 {
		c.fresh = sup.Incarnation{}
		c.inLine = text[n-1] != '\n'
	}
	if err != nil {
		c.close() // opened anew at the next write: the file or its disk may be another by then
	}
	return n, err
}

func (c *commandLog) markBegin(inc sup.Incarnation) {
	at, err := cursorOf(c.file)
	if err != nil {
		return // who asks for its begin gets the log's end
	}
	at.Offset, c.fresh = c.length, inc
	c.logs.note(c.path, begin{inc: inc, at: at})
}

func (c *commandLog) openFile() error {
	if err := c.logs.check(c.path); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(c.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", c.path)
	}
	if err != nil {
		file.Close()
		return err
	}
	c.file, c.length = file, info.Size()
	return nil
}

// rotate makes room: CHILD.log becomes CHILD.log.1, and so on; what would be one file too many goes.
func (c *commandLog) rotate() error {
	c.close()
	if c.logs.config.MaxFiles == 1 {
		if err := os.Remove(c.path); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	for n := c.logs.config.MaxFiles; os.Remove(rotated(c.path, n)) == nil; n++ { // there were to be more of them once
	}
	for n := c.logs.config.MaxFiles - 1; n > 0; n-- {
		if err := os.Rename(rotated(c.path, n-1), rotated(c.path, n)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := c.openFile(); err != nil || c.fresh.IsZero() {
		return err
	}
	c.markBegin(c.fresh)
	return nil
}

// rotated is the path of the nth older file of a log, 0 being the one that is written.
func rotated(path string, n int) string {
	if n == 0 {
		return path
	}
	return path + "." + strconv.Itoa(n)
}

func (c *commandLog) close() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

// release lets go of the log; when the last has done so it ends with what is queued.
func (c *commandLog) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs.mu.Lock()
	c.users--
	c.logs.mu.Unlock()
	c.closeIfUnused()
}
