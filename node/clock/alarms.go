package clock

import "container/heap"

// alarm rings once.
type alarm struct {
	at    int64
	rang  chan struct{} // buffered
	index int           // in the heap; -1 = not in it
}

// alarms is those that have not rung, the earliest first.
type alarms struct{ heap alarmHeap }

func (s *alarms) add(at int64) *alarm {
	a := &alarm{at: at, rang: make(chan struct{}, 1)}
	heap.Push(&s.heap, a)
	return a
}

func (s *alarms) remove(a *alarm) {
	if a.index >= 0 {
		heap.Remove(&s.heap, a.index)
	}
}

// ring rings every alarm that is due.
func (s *alarms) ring(now int64) {
	for len(s.heap) > 0 && s.heap[0].at <= now {
		heap.Pop(&s.heap).(*alarm).rang <- struct{}{}
	}
}

func (s *alarms) next() (at int64, ok bool) {
	if len(s.heap) == 0 {
		return 0, false
	}
	return s.heap[0].at, true
}

// alarmHeap implements heap.Interface.
type alarmHeap []*alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *alarmHeap) Push(x any) {
	a := x.(*alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

func (h *alarmHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	a.index = -1
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return a
}
