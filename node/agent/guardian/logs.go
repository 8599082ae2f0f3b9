package guardian

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	sup "github.com/supnode/supnode/supervisor"
)

// LogConfig bounds what is kept of each child's output.
type LogConfig struct {
	MaxSize  int64 // bytes at which a file is rotated; default 10 MiB
	MaxFiles int   // files that are kept: CHILD.log, CHILD.log.1, …; default 3
}

// The defaults of LogConfig, and its bounds.
const (
	DefaultLogSize, MinLogSize, MaxLogSize = 10 << 20, 64 << 10, 1 << 40
	DefaultLogFiles, MaxLogFiles           = 3, 1000
)

func (c LogConfig) withDefaults() LogConfig {
	if c.MaxSize == 0 {
		c.MaxSize = DefaultLogSize
	}
	if c.MaxFiles == 0 {
		c.MaxFiles = DefaultLogFiles
	}
	return c
}

const (
	// maxBegins bounds the logs of which it is remembered where incarnations begin, maxPlaces how many of one.
	maxBegins, maxPlaces = 2 * maxCommands, 8
)

// Logs are the output files of a node's commands, DIR/SUP/CHILD.log. Successive incarnations of a child share one.
type Logs struct {
	dir    string
	config LogConfig
	logger hclog.Logger
	lost   atomic.Uint64
	work   sync.WaitGroup // what writes
	places chan struct{}  // one taken by each reader that waits

	mu      sync.Mutex // guards what follows; the last to be taken
	open    map[string]*commandLog
	blocked map[string]error     // by path: why output is being dropped
	begins  map[string][]begin   // by path; the last maxPlaces, in order
	told    map[string]*listener // by path
}

// A begin is where the output of an incarnation begins in its log.
type begin struct {
	inc sup.Incarnation
	at  LogCursor
}

// NewLogs are the logs in a directory, which is made when the first is written.
func NewLogs(dir string, c LogConfig, logger hclog.Logger) *Logs {
	return &Logs{
		dir: dir, config: c.withDefaults(), logger: logger, places: make(chan struct{}, maxLogWaiters),
		open: map[string]*commandLog{}, blocked: map[string]error{}, begins: map[string][]begin{}, told: map[string]*listener{},
	}
}

// of gives a child's log; the caller releases it.
func (l *Logs) of(k sup.Key) *commandLog {
	path := l.path(k)
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.open[path]
	if c == nil {
		c = newCommandLog(l, path)
		l.open[path] = c
	}
	c.users++
	return c
}

// clashing is the name of a sub-supervisor's directory that a sibling's log could have too.
var clashing = regexp.MustCompile(`\.log(\.[0-9]+)?$`)

// path is where a child's log is. The children of the sub-supervisor SUP/ID are in the directory SUP/ID, or in SUP/ID~ when
// that is the name of a log of SUP's.
func (l *Logs) path(k sup.Key) string {
	elements := strings.Split(string(k.Supervisor), "/")
	for i, e := range elements {
		if clashing.MatchString(e) {
			elements[i] = e + "~"
		}
	}
	return filepath.Join(l.dir, filepath.Join(elements...), string(k.Child)+".log")
}

// check refuses what is not below the logs' directory.
func (l *Logs) check(path string) error {
	if inside, err := filepath.Rel(l.dir, path); err != nil || !filepath.IsLocal(inside) {
		return errors.New("it would be outside the data directory")
	}
	return nil
}

// note keeps where an incarnation begins.
func (l *Logs) note(path string, b begin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.begins[path]; !known && len(l.begins) >= maxBegins {
		for other := range l.begins {
			if l.open[other] == nil {
				delete(l.begins, other)
				break
			}
		}
	}
	places := l.begins[path]
	if n := len(places); n > 0 && places[n-1].inc == b.inc { // the file was rotated before anything came
		places = places[:n-1]
	}
	if len(places) == maxPlaces {
		places = places[1:]
	}
	l.begins[path] = append(slices.Clone(places), b)
}

// tell wakes those who wait for a log.
func (l *Logs) tell(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.told[path]; w != nil {
		close(w.more)
		delete(l.told, path)
	}
}

// block notes why output is being dropped; nil = it is written again.
func (l *Logs) block(path string, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if why == nil {
		delete(l.blocked, path)
	} else {
		l.blocked[path] = why
	}
}

// LogHealth is how the logs do, for people.
type LogHealth struct {
	Blocked int    // logs of running commands that cannot be written now: their output is dropped
	Why     string // of one of them
	Lost    uint64 // bytes that were dropped since the start
}

func (h LogHealth) String() string {
	lost := ""
	if h.Lost > 0 {
		lost = fmt.Sprintf("; %d bytes of output were lost since the start", h.Lost)
	}
	if h.Blocked == 0 {
		return "output is written" + lost
	}
	return fmt.Sprintf("output of %d commands is lost, as their logs cannot be written: %s%s", h.Blocked, h.Why, lost)
}

// Health is how the logs do now.
func (l *Logs) Health() LogHealth {
	h := LogHealth{Lost: l.lost.Load()}
	l.mu.Lock()
	defer l.mu.Unlock()
	first := ""
	for path, why := range l.blocked {
		if h.Blocked++; first == "" || path < first {
			first, h.Why = path, fmt.Sprintf("%s: %v", path, why)
		}
	}
	return h
}
