package actor

import "sync"

// buffers keeps the slices of mailboxes that went to rest for those that wake up.
type buffers struct{ full, empty sync.Pool } // of *buffer

type buffer struct{ s []envelope }

func (b *buffers) get() []envelope {
	f, ok := b.full.Get().(*buffer)
	if !ok {
		return make([]envelope, 0, 4)
	}
	s := f.s
	f.s = nil
	b.empty.Put(f)
	return s
}

// put takes a slice without messages.
func (b *buffers) put(s []envelope) {
	if cap(s) == 0 {
		return
	}
	f, ok := b.empty.Get().(*buffer)
	if !ok {
		f = &buffer{}
	}
	f.s = s[:0]
	b.full.Put(f)
}
