package sim

// event is something that will happen in the world.
type event struct {
	at  int64  // true time, ns
	seq uint64 // breaks ties: what was planned first happens first
	tag tag
	do  func()
}

// tag says what kind of event it is; it enters the trace hash.
type tag uint8

const (
	tagFrame tag = iota + 1
	tagStream
	tagWake
	tagRunner
	tagGuardian
	tagRaft
	tagApply
	tagClient
	tagFault
	tagBoot
	tagProbe
	tagWatch
)

func (e event) before(f event) bool {
	if e.at != f.at {
		return e.at < f.at
	}
	return e.seq < f.seq
}

// eventHeap is a binary heap of events, the earliest first.
type eventHeap []event

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !s[i].before(s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *eventHeap) pop() event {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0], s[last] = s[last], event{}
	s = s[:last]
	*h = s
	i := 0
	for {
		down := 2*i + 1
		if down >= last {
			break
		}
		if r := down + 1; r < last && s[r].before(s[down]) {
			down = r
		}
		if !s[down].before(s[i]) {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	return top
}
