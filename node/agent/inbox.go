package agent

import "sync"

// inbox is what the runners said and the driver has not yet taken. It never blocks them, and it is bounded by them: two
// events for each incarnation that is held.
type inbox struct {
	wake chan struct{} // has a value when there is something to take

	mu     sync.Mutex // guards events
	events []Event
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) put(ev Event) {
	b.mu.Lock()
	b.events = append(b.events, ev)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) take() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	evs := b.events
	b.events = nil
	return evs
}
