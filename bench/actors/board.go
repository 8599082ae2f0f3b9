package actors

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/supnode/supnode/test/jepsen-lite/history"
	"golang.org/x/sys/unix"
)

// nodes is the size of the cluster.
const nodes = 3

// place is what one child says of itself. Each field has one writer at a time.
type place struct {
	start   [nodes]int64 // when an init of it began last, on each node
	stop    int64        // when it was told to stop last
	crash   int64        // when it was about to crash last
	touched [nodes]int64 // when it handled a touch last, on each node
}

// board has a place for every child.
type board struct {
	places []place
	memory []byte
}

// openBoard maps the board of size places at path, which is made when it is not there.
func openBoard(path string, size int) (*board, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	bytes := size * int(unsafe.Sizeof(place{}))
	if err := f.Truncate(int64(bytes)); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(int(f.Fd()), 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &board{places: unsafe.Slice((*place)(unsafe.Pointer(&memory[0])), size), memory: memory}, nil
}

func (b *board) close() error {
	if b.memory == nil {
		return errors.New("the board is closed already")
	}
	memory := b.memory
	b.places, b.memory = nil, nil
	return unix.Munmap(memory)
}

// now writes the time into a field.
func now(field *int64) { atomic.StoreInt64(field, int64(history.Now())) }

// Life is the newest life of a child.
type Life struct {
	Node  int // 0 is n1; -1: it has none yet
	Start history.Instant
}

// life is the newest life of the child at place i.
func (b *board) life(i int) (l Life) {
	l.Node = -1
	for n := range nodes {
		if at := history.Instant(atomic.LoadInt64(&b.places[i].start[n])); at > l.Start {
			l = Life{n, at}
		}
	}
	return l
}

func (b *board) stopped(i int) history.Instant {
	return history.Instant(atomic.LoadInt64(&b.places[i].stop))
}
func (b *board) crashed(i int) history.Instant {
	return history.Instant(atomic.LoadInt64(&b.places[i].crash))
}

func (b *board) touched(i, node int) history.Instant {
	return history.Instant(atomic.LoadInt64(&b.places[i].touched[node]))
}
