package journal

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// The kinds of records.
const (
	kindStart   = 'S'
	kindTick    = 'T'
	kindEffect  = 'E'
	kindRefused = 'R'
	kindStop    = 'X'
)

const (
	suffix    = ".journal"
	separator = "~" // in no supervisor's name, escaped, and no child's id
)

// Identity is whose journal it is.
type Identity struct {
	history.Key
	Node        string
	Incarnation uint64
	PID         int
	Role        string
}

// FromEnv is the identity that supnode gives a command in its environment.
func FromEnv(role string) (Identity, error) {
	id := Identity{
		Key:  history.Key{Supervisor: os.Getenv("SUPNODE_SUPERVISOR"), Child: os.Getenv("SUPNODE_CHILD")},
		Node: os.Getenv("SUPNODE_NODE"), PID: os.Getpid(), Role: role,
	}
	inc, err := strconv.ParseUint(os.Getenv("SUPNODE_INCARNATION"), 10, 64)
	if err != nil {
		return id, fmt.Errorf("SUPNODE_INCARNATION: %w", err)
	}
	if id.Incarnation = inc; id.Supervisor == "" || id.Child == "" || id.Node == "" || inc == 0 {
		return id, fmt.Errorf("the environment lacks SUPNODE_SUPERVISOR, SUPNODE_CHILD, SUPNODE_NODE or SUPNODE_INCARNATION")
	}
	return id, nil
}

func (id Identity) file() string {
	return strings.Join([]string{url.PathEscape(id.Supervisor), id.Child, strconv.FormatUint(id.Incarnation, 10), id.Node,
		strconv.Itoa(id.PID), id.Role}, separator) + suffix
}

func parseFile(name string) (id Identity, ok bool) {
	f := strings.Split(strings.TrimSuffix(name, suffix), separator)
	if !strings.HasSuffix(name, suffix) || len(f) != 6 {
		return id, false
	}
	inc, err1 := strconv.ParseUint(f[2], 10, 64)
	pid, err2 := strconv.Atoi(f[4])
	supervisor, err3 := url.PathUnescape(f[0]) // SUP/ID is a sub-supervisor's
	return Identity{Key: history.Key{Supervisor: supervisor, Child: f[1]}, Node: f[3], Incarnation: inc, PID: pid, Role: f[5]},
		err1 == nil && err2 == nil && err3 == nil
}

// Writer appends records to one process's journal. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex // guards the order of records: instants must not fall within a file
	file *os.File
}

// Open makes the journal of id in dir, with its start record. A journal that is there already is an error.
func Open(dir string, id Identity) (*Writer, error) {
	f, err := os.OpenFile(filepath.Join(dir, id.file()), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: f}
	return w, w.record(kindStart, fmt.Sprintf("node=%s pid=%d", id.Node, id.PID))
}

// Tick records that the process still runs.
func (w *Writer) Tick() error { return w.record(kindTick, "") }

// Effect records what the register said to a write.
func (w *Writer) Effect(accepted bool) error {
	if accepted {
		return w.record(kindEffect, "")
	}
	return w.record(kindRefused, "")
}

// Stop records why the process ends by itself.
func (w *Writer) Stop(why string) error { return w.record(kindStop, why) }

func (w *Writer) record(kind byte, text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := fmt.Sprintf("%c %d", kind, history.Now())
	if text != "" {
		line += " " + text
	}
	_, err := w.file.WriteString(line + "\n")
	return err
}
