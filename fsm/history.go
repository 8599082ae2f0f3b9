package fsm

import (
	"bytes"
	"encoding/binary"
	"iter"
	"sort"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// history keeps the newest lifecycle events, encoded, in chunks; whole chunks are dropped from its old end. A chunk's bytes
// are only ever appended to, so a captured chunk stays as it was.
type history struct {
	newest uint64
	chunks []chunk
	size   int64

	scratch bytes.Buffer // for the encoding of one event
}

// chunk is a run of events with consecutive ids, each preceded by its length as a uvarint.
type chunk struct {
	First uint64 `cbor:"1,keyasint"`
	Count uint64 `cbor:"2,keyasint"`
	Data  []byte `cbor:"3,keyasint"`
}

// add appends an event's encoding; its id is newest+1. At most limit bytes are kept, but always the last chunk.
func (h *history) add(encoded []byte, limit int64) {
	if limit <= 0 {
		limit = defaultHistory
	}
	full := min(maxHistoryChunk, int(limit/8))
	h.newest++
	if n := len(h.chunks); n == 0 || len(h.chunks[n-1].Data)+len(encoded) > full {
		h.chunks = append(h.chunks, chunk{First: h.newest})
	}
	c := &h.chunks[len(h.chunks)-1]
	before := len(c.Data)
	c.Data = binary.AppendUvarint(c.Data, uint64(len(encoded)))
	c.Data = append(c.Data, encoded...)
	c.Count++
	h.size += int64(len(c.Data) - before)
	for h.size > limit && len(h.chunks) > 1 {
		h.size -= int64(len(h.chunks[0].Data))
		h.chunks[0] = chunk{}
		h.chunks = h.chunks[1:]
	}
}

// oldest is the id of the oldest event kept, or newest+1.
func (h *history) oldest() uint64 {
	if len(h.chunks) == 0 {
		return h.newest + 1
	}
	return h.chunks[0].First
}

// after are at most limit events with ids above since.
func (h *history) after(since uint64, limit int) []sup.Event {
	var events []sup.Event
	i := sort.Search(len(h.chunks), func(i int) bool { return h.chunks[i].First+h.chunks[i].Count > since+1 })
	for ; i < len(h.chunks) && len(events) < limit; i++ {
		c := h.chunks[i]
		id := c.First
		for encoded := range c.all() {
			if id > since {
				if len(events) >= limit {
					break
				}
				var e sup.Event
				if err := decMode.Unmarshal(encoded, &e); err != nil {
					panic("fsm: history: an event does not decode: " + err.Error())
				}
				events = append(events, e)
			}
			id++
		}
	}
	return events
}

// all yields the encoded events of a chunk.
func (c chunk) all() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for data := c.Data; len(data) > 0; {
			n, k := binary.Uvarint(data)
			if k <= 0 || n > uint64(len(data)-k) {
				panic("fsm: history: a chunk is torn")
			}
			if !yield(data[k : k+int(n)]) {
				return
			}
			data = data[k+int(n):]
		}
	}
}

// emit adds an event to the history (S44).
func (s *State) emit(e sup.Event) {
	e.ID, e.Index, e.Time = s.history.newest+1, s.index, time.Unix(0, s.wall).UTC()
	s.history.scratch.Reset()
	if err := encMode.MarshalToBuffer(&e, &s.history.scratch); err != nil {
		panic("fsm: history: an event does not encode: " + err.Error())
	}
	s.history.add(s.history.scratch.Bytes(), s.settings.EventHistory)
}
