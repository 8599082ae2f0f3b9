package fsm

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// maxFrame bounds one frame of a snapshot, in bytes.
const maxFrame = 1 << 30

// Restore reads the state that a snapshot holds. The error is ErrCorrupt, ErrUnknownVersion or the reader's.
func Restore(r io.Reader) (*State, error) {
	f := &frameReader{r: bufio.NewReaderSize(r, 1<<16), sum: crc32.New(castagnoli)}
	magic := make([]byte, len(imageMagic)+1)
	if err := f.read(magic); err != nil {
		return nil, err
	}
	if string(magic[:len(imageMagic)]) != imageMagic {
		return nil, fmt.Errorf("this is not a snapshot of supnode: %w", ErrCorrupt)
	}
	if v := magic[len(imageMagic)]; v != imageVersion {
		return nil, fmt.Errorf("snapshot has format %d, this supnode knows %d: %w", v, imageVersion, ErrUnknownVersion)
	}
	s := New()
	b := builder{s: s}
	for {
		sum := f.sum.Sum32()
		kind, body, err := f.frame()
		if err != nil {
			return nil, err
		}
		if kind == frameEnd {
			var want uint32
			if err := decMode.Unmarshal(body, &want); err != nil || want != sum {
				return nil, fmt.Errorf("snapshot has checksum %08x instead of %08x: %w", sum, want, ErrCorrupt)
			}
			break
		}
		if err := b.add(kind, body); err != nil {
			return nil, fmt.Errorf("snapshot: %w (%w)", ErrCorrupt, err)
		}
	}
	if _, err := f.r.ReadByte(); err != io.EOF {
		return nil, fmt.Errorf("snapshot has more behind its end: %w", ErrCorrupt)
	}
	if err := b.index(); err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("snapshot: %w (%w)", ErrCorrupt, err)
	}
	return s, nil
}

// builder makes a state from the frames of a snapshot.
type builder struct {
	s    *State
	tree *tree
	kids []*Child // that hold a seat
}

func (b *builder) add(kind frameKind, body []byte) error {
	s := b.s
	switch kind {
	case frameHead:
		var h imageHead
		if err := decMode.Unmarshal(body, &h); err != nil {
			return err
		}
		s.index, s.clock, s.wall, s.cluster, s.gen, s.session = h.Index, h.Clock, h.Wall, h.Cluster, h.Gen, h.Session
		s.ticket, s.term, s.leader, s.settings, s.retiring = h.Ticket, h.Term, h.Leader, h.Settings, h.Retiring
		s.held, s.once, s.history.newest, s.forgot = h.Held, h.Once, h.Newest, h.Forgot
	case frameNode:
		n := new(Node)
		if err := decMode.Unmarshal(body, n); err != nil {
			return err
		}
		s.members = append(s.members, &member{node: n})
	case frameSupervisor:
		h := new(Supervisor)
		if err := decMode.Unmarshal(body, h); err != nil {
			return err
		}
		if h.Spec == nil || s.trees.get(h.Name) != nil {
			return fmt.Errorf("supervisor %q has no spec or comes twice", h.Name)
		}
		b.tree = newTree(h)
		s.trees.add(b.tree)
	case frameChild:
		c := new(Child)
		if err := decMode.Unmarshal(body, c); err != nil {
			return err
		}
		if b.tree == nil || c.Spec == nil || c.Key.Supervisor != b.tree.head.Name || b.tree.children.get(c.Key.Child) != nil {
			return fmt.Errorf("child %s has no spec, comes twice, or belongs elsewhere", c.Key)
		}
		b.tree.children.add(c)
		if c.Toward != "" {
			s.aimed++
		}
		if c.IsSupervisor() {
			b.tree.subs++
			if c.Phase != Unplaced {
				b.tree.hold("", 1)
			}
			if c.Phase == Running {
				b.tree.active++
			}
		}
		if c.Due {
			b.tree.dues++
		}
		if c.Seat != 0 {
			b.kids = append(b.kids, c)
		}
	case frameRequest:
		r := new(request)
		if err := decMode.Unmarshal(body, r); err != nil {
			return err
		}
		if s.requests.get(r.Key) != nil {
			return fmt.Errorf("request %q comes twice", r.Key)
		}
		if r.Outcome == nil {
			s.requests.begin(r)
		} else {
			s.requests.keep(r)
		}
	case frameEvents:
		var c chunk
		if err := decMode.Unmarshal(body, &c); err != nil {
			return err
		}
		s.history.chunks = append(s.history.chunks, c)
		s.history.size += int64(len(c.Data))
	default:
		return fmt.Errorf("frame of unknown kind %d", kind)
	}
	return nil
}

// index derives what is not in a snapshot: who wants a node, who is where, who stopped when.
func (b *builder) index() error {
	s := b.s
	slices.SortFunc(b.kids, func(x, y *Child) int { return cmp.Compare(x.Seat, y.Seat) })
	for i, c := range b.kids {
		if i > 0 && b.kids[i-1].Seat == c.Seat {
			return fmt.Errorf("snapshot: two slots have seat %d: %w", c.Seat, ErrCorrupt)
		}
		m, t := s.member(c.Node), s.trees.get(c.Key.Supervisor)
		if c.Wants {
			s.wanting.add(c)
			t.wants++
			continue
		}
		if m == nil {
			return fmt.Errorf("snapshot: child %s is on unknown node %q: %w", c.Key, c.Node, ErrCorrupt)
		}
		m.slots.add(c)
		t.hold(c.Node, 1)
		if c.Phase == Running {
			t.active++
		}
	}
	var stopped []*Supervisor
	for h := range s.Supervisors() {
		if h.Status == sup.StatusStopped {
			stopped = append(stopped, h)
		} else {
			s.running++
		}
	}
	slices.SortFunc(stopped, func(x, y *Supervisor) int { return cmp.Compare(x.Stopped, y.Stopped) })
	for _, h := range stopped {
		s.stopped = append(s.stopped, h.Name)
	}
	return nil
}

// frameReader reads frames and sums what it read. A frame's body is valid until the next one is read.
type frameReader struct {
	r    *bufio.Reader
	sum  hash.Hash32
	body bytes.Buffer
}

func (f *frameReader) read(b []byte) error {
	if _, err := io.ReadFull(f.r, b); err != nil {
		return torn(err)
	}
	f.sum.Write(b)
	return nil
}

func (f *frameReader) frame() (frameKind, []byte, error) {
	kind, err := f.r.ReadByte()
	if err != nil {
		return 0, nil, torn(err)
	}
	n, err := binary.ReadUvarint(f.r)
	if err != nil {
		return 0, nil, torn(err)
	}
	if n > maxFrame {
		return 0, nil, fmt.Errorf("snapshot has a frame of %d bytes: %w", n, ErrCorrupt)
	}
	f.sum.Write(binary.AppendUvarint([]byte{kind}, n))
	f.body.Reset()
	if _, err := io.CopyN(&f.body, f.r, int64(n)); err != nil {
		return 0, nil, torn(err)
	}
	f.sum.Write(f.body.Bytes())
	return frameKind(kind), f.body.Bytes(), nil
}

// torn makes the early end of a snapshot ErrCorrupt.
func torn(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("snapshot ends early: %w", ErrCorrupt)
	}
	return fmt.Errorf("read a snapshot: %w", err)
}
