package guardian

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/hashicorp/go-hclog"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	// LogSize is the size at which a command's log is rotated.
	LogSize = 10 << 20
	// LogFiles is how many files of a child's log are kept: CHILD.log, CHILD.log.1, CHILD.log.2.
	LogFiles = 3
)

// logs are the output files of a node's commands, DIR/SUP/CHILD.log. Successive incarnations of a child share one.
type logs struct {
	dir    string
	size   int64
	logger hclog.Logger

	mu   sync.Mutex
	open map[string]*commandLog // guarded by mu; by path
}

// A commandLog is one child's output. Write never fails: a command must not be stopped by a full disk, so what cannot be
// written is dropped, and that is said once.
type commandLog struct {
	logs   *logs
	path   string
	inside bool // whether path is within the directory of the logs
	users  int  // guarded by logs.mu

	mu       sync.Mutex
	file     *os.File // guarded by mu
	length   int64
	dropping bool
}

func newLogs(dir string, logger hclog.Logger) *logs {
	return &logs{dir: dir, size: LogSize, logger: logger, open: map[string]*commandLog{}}
}

// of gives a child's log; the caller releases it.
func (l *logs) of(k sup.Key) *commandLog {
	inside := filepath.Join(filepath.FromSlash(string(k.Supervisor)), string(k.Child)+".log")
	path := filepath.Join(l.dir, inside)
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.open[path]
	if c == nil {
		c = &commandLog{logs: l, path: path, inside: filepath.IsLocal(inside)}
		l.open[path] = c
	}
	c.users++
	return c
}

func (c *commandLog) release() {
	c.logs.mu.Lock()
	c.users--
	last := c.users == 0
	if last {
		delete(c.logs.open, c.path)
	}
	c.logs.mu.Unlock()
	if last {
		c.mu.Lock()
		c.close()
		c.mu.Unlock()
	}
}

func (c *commandLog) close() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

// Write appends to the file and rotates it before it grows past its size.
func (c *commandLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.append(p)
	if err != nil && !c.dropping {
		c.logs.logger.Warn("output of a command is dropped: its log cannot be written", "log", c.path, "error", err)
	}
	c.dropping = err != nil
	return len(p), nil
}

func (c *commandLog) append(p []byte) error {
	if c.file == nil {
		if err := c.openFile(); err != nil {
			return err
		}
	}
	if c.length > 0 && c.length+int64(len(p)) > c.logs.size {
		if err := c.rotate(); err != nil {
			return err
		}
	}
	n, err := c.file.Write(p)
	c.length += int64(n)
	if err != nil {
		c.close() // opened anew at the next write: the file or its disk may be another by then
	}
	return err
}

func (c *commandLog) openFile() error {
	if !c.inside {
		return errors.New("it would be outside the data directory")
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(c.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	c.file, c.length = file, info.Size()
	return nil
}

func (c *commandLog) rotate() error {
	c.close()
	for n := LogFiles - 1; n > 0; n-- {
		older, newer := c.path+"."+strconv.Itoa(n), c.path
		if n > 1 {
			newer += "." + strconv.Itoa(n-1)
		}
		if err := os.Rename(newer, older); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return c.openFile()
}
