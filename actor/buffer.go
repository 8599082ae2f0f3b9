package actor

import "sync"

// buffer holds the messages of a mailbox. A cell at rest has none.
type buffer struct{ s []envelope }

// buffers keeps those of mailboxes that went to rest for those that wake up.
type buffers struct{ pool sync.Pool } // of *buffer

func (b *buffers) get() *buffer {
	if f, ok := b.pool.Get().(*buffer); ok {
		return f
	}
	return &buffer{make([]envelope, 0, 4)}
}

// put takes a buffer without messages, or none.
func (b *buffers) put(f *buffer) {
	if f != nil {
		b.pool.Put(f)
	}
}
