package journal

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Reader follows all journals of a directory. It is safe for concurrent use.
type Reader struct {
	dir string

	mu    sync.Mutex // guards files
	files map[string]*page
}

type page struct {
	life   history.Life
	offset int64
	rest   []byte // of a line whose end has not been read
}

// NewReader follows the journals in dir.
func NewReader(dir string) *Reader { return &Reader{dir: dir, files: make(map[string]*page)} }

// Lives reads what is new and returns every life, ordered by child, incarnation and start. The instants of a life share
// memory with the reader: they may be read, not written.
func (r *Reader) Lives() ([]history.Life, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, ok := parseFile(e.Name())
		if !ok {
			return nil, fmt.Errorf("%s is not a journal", filepath.Join(r.dir, e.Name()))
		}
		p := r.files[e.Name()]
		if p == nil {
			p = &page{life: history.Life{Key: id.Key, Node: id.Node, Incarnation: id.Incarnation, PID: id.PID, Role: id.Role}}
			r.files[e.Name()] = p
		}
		if err := p.read(filepath.Join(r.dir, e.Name())); err != nil {
			return nil, err
		}
	}
	lives := make([]history.Life, 0, len(r.files))
	for _, p := range r.files {
		p.life.Torn = len(p.rest) > 0
		lives = append(lives, p.life)
	}
	slices.SortFunc(lives, func(a, b history.Life) int {
		return cmp.Or(cmp.Compare(a.Supervisor, b.Supervisor), cmp.Compare(a.Child, b.Child),
			cmp.Compare(a.Incarnation, b.Incarnation), cmp.Compare(a.Start, b.Start), cmp.Compare(a.PID, b.PID))
	})
	return lives, nil
}

func (p *page) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() == p.offset {
		return err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, p.offset, 1<<62))
	if err != nil {
		return err
	}
	p.offset += int64(len(b))
	b = append(p.rest, b...)
	for {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			p.rest = bytes.Clone(b)
			return nil
		}
		if err := p.line(string(line)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		b = rest
	}
}

func (p *page) line(line string) error {
	f := strings.SplitN(line, " ", 3)
	if len(f) < 2 || len(f[0]) != 1 {
		return fmt.Errorf("not a record: %q", line)
	}
	ns, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return fmt.Errorf("not a record: %q", line)
	}
	at := history.Instant(ns)
	if at < p.life.Last() {
		return fmt.Errorf("the instants fall: %q after %d", line, p.life.Last())
	}
	switch f[0][0] {
	case kindStart:
		p.life.Start = at
	case kindTick:
	case kindEffect:
		p.life.Effects++
	case kindRefused:
		p.life.Refused++
	case kindStop:
		p.life.Stop = "unsaid"
		if len(f) == 3 {
			p.life.Stop = f[2]
		}
	default:
		return fmt.Errorf("not a record: %q", line)
	}
	p.life.Ticks = append(p.life.Ticks, at)
	return nil
}
