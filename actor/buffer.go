package actor

import "sync"

// buffers keeps the slices of mailboxes that went to rest for those that wake up.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() []envelope {
	if s, ok := b.pool.Get().(*[]envelope); ok {
		return *s
	}
	return make([]envelope, 0, 4)
}

// put takes a slice without messages.
func (b *buffers) put(s []envelope) {
	if cap(s) > 0 {
		s = s[:0]
		b.pool.Put(&s)
	}
}
