package fsm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// A snapshot is a magic word, the version of the format, then frames: a kind, the length of the body as a uvarint, the body
// in core-deterministic CBOR. The last frame ends it with the CRC-32C of all bytes before it. Equal states have equal bytes.
const (
	imageMagic   = "SUPNSNAP"
	imageVersion = 1
)

// frameKind says what a frame of a snapshot holds.
type frameKind byte

// The kinds of frames, in the order in which they come; children follow their supervisor.
const (
	frameHead       frameKind = 1
	frameNode       frameKind = 2
	frameSupervisor frameKind = 3
	frameChild      frameKind = 4
	frameRequest    frameKind = 5
	frameEvents     frameKind = 6
	frameEnd        frameKind = 7
)

// imageHead is what a state has besides its records.
type imageHead struct {
	Index    uint64       `cbor:"1,keyasint"`
	Clock    int64        `cbor:"2,keyasint"`
	Wall     int64        `cbor:"3,keyasint"`
	Cluster  string       `cbor:"4,keyasint"`
	Gen      uint64       `cbor:"5,keyasint"`
	Session  uint64       `cbor:"6,keyasint"`
	Ticket   uint64       `cbor:"7,keyasint"`
	Term     uint64       `cbor:"8,keyasint"`
	Leader   sup.NodeName `cbor:"9,keyasint"`
	Settings Settings     `cbor:"10,keyasint"`
	Retiring int64        `cbor:"11,keyasint"`
	Held     bool         `cbor:"12,keyasint"`
	Once     []sup.Name   `cbor:"13,keyasint"`
	Newest   uint64       `cbor:"14,keyasint"` // id of the newest event
	Forgot   []forgotten  `cbor:"20,keyasint,omitempty"`
}

// Image is a state as it was when it was captured. It stays so while the state changes.
type Image struct {
	head     imageHead
	nodes    []*Node
	trees    []imageTree
	requests []*request
	events   []chunk
}

type imageTree struct {
	head     *Supervisor
	children []*Child // nil = a hole
}

// Capture takes an image of the state. It copies pointers to immutable records, nothing more, so it is fast enough to run
// between two entries; WriteTo encodes them later, beside Apply.
func (s *State) Capture() *Image {
	m := &Image{
		head: imageHead{
			Index: s.index, Clock: s.clock, Wall: s.wall, Cluster: s.cluster, Gen: s.gen, Session: s.session, Ticket: s.ticket,
			Term: s.term, Leader: s.leader, Settings: s.settings, Retiring: s.retiring, Held: s.held, Once: s.once,
			Newest: s.history.newest, Forgot: s.forgot,
		},
		nodes:  make([]*Node, 0, len(s.members)),
		trees:  make([]imageTree, 0, s.trees.len()),
		events: slices.Clone(s.history.chunks),
	}
	for _, n := range s.members {
		m.nodes = append(m.nodes, n.node)
	}
	for t := range s.trees.all() {
		m.trees = append(m.trees, imageTree{t.head, t.children.copyRows()})
	}
	m.requests = slices.Concat(s.requests.pending.copyRows(), s.requests.delivering.copyRows(), s.requests.own.copyRows(), s.requests.client.copyRows())
	return m
}

// WriteTo writes the snapshot; it implements io.WriterTo.
func (m *Image) WriteTo(w io.Writer) (int64, error) {
	f := &frameWriter{w: bufio.NewWriterSize(w, 1<<16), sum: crc32.New(castagnoli)}
	f.raw([]byte(imageMagic))
	f.raw([]byte{imageVersion})
	f.frame(frameHead, &m.head)
	for _, n := range m.nodes {
		f.frame(frameNode, n)
	}
	for _, t := range m.trees {
		f.frame(frameSupervisor, t.head)
		for _, c := range t.children {
			if c != nil {
				f.frame(frameChild, c)
			}
		}
	}
	for _, r := range m.requests {
		if r != nil {
			f.frame(frameRequest, r)
		}
	}
	for i := range m.events {
		f.frame(frameEvents, &m.events[i])
	}
	f.frame(frameEnd, f.sum.Sum32())
	if f.err == nil {
		f.err = f.w.Flush()
	}
	return f.n, f.err
}

// frameWriter writes frames and sums what it wrote. After an error it does nothing.
type frameWriter struct {
	w   *bufio.Writer
	sum hash.Hash32
	buf bytes.Buffer
	n   int64
	err error
}

func (f *frameWriter) raw(b []byte) {
	if f.err != nil {
		return
	}
	var k int
	k, f.err = f.w.Write(b)
	f.n += int64(k)
	f.sum.Write(b)
}

func (f *frameWriter) frame(kind frameKind, v any) {
	if f.err != nil {
		return
	}
	f.buf.Reset()
	if f.err = encMode.MarshalToBuffer(v, &f.buf); f.err != nil {
		return
	}
	f.raw(binary.AppendUvarint([]byte{byte(kind)}, uint64(f.buf.Len())))
	f.raw(f.buf.Bytes())
}
