package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The layout of a bbolt file: pages of one size; each begins with its number, its kind, and how many elements and further
// pages it has. The first two are the metas: the newer one that is whole tells where the root is. Numbers are in the order of
// the machine's bytes.
const (
	boltMagic     = 0xED0CDAED
	pageHeader    = 16 // bytes: number 8, kind 2, count 2, overflow 4
	pageElement   = 16 // bytes: of a branch position 4, key 4, page 8; of a leaf kind 4, position 4, key 4, value 4
	metaSize      = 64 // bytes, its checksum the last 8
	bucketHeader  = 16 // bytes: root page 8, sequence 8
	branchPage    = 0x01
	leafPage      = 0x02
	freelistPage  = 0x10
	bucketElement = 0x01
	noFreelist    = ^uint64(0)
	maxTreeDepth  = 64
)

var native = binary.NativeEndian

// Sound checks that the tree in a bbolt file is whole, page by page, before bbolt opens it: bbolt maps files into memory and
// trusts them. Beyond the end of one that was cut short, or led astray by turned bits, it would end the process with a fault, or
// a stack, and no word. A file that is not there, is empty, locked, or can't be opened, is for whoever opens it to report. What helps depends on the
// file: the caller says it.
func Sound(path string, wait time.Duration) error {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	for until := time.Now().Add(wait); unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			return nil // in use, and so it is whole
		}
	}
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil
	}
	t := &tree{file: f, size: uint64(info.Size()), seen: map[uint64]bool{}}
	var cut *cutError
	var disk *fs.PathError
	switch err := t.check(); {
	case errors.As(err, &cut):
		return fmt.Errorf("%s is cut short: it has %d bytes of %d", path, info.Size(), cut.want)
	case errors.As(err, &disk):
		return Explain(disk)
	case err != nil:
		return fmt.Errorf("%s is damaged (%w)", path, err)
	}
	return nil
}

// cutError says that a file is shorter than what its meta tells.
type cutError struct{ want uint64 }

func (e *cutError) Error() string { return "cut short" }

// tree is a bbolt file that is being checked. It is read, not mapped: what can't be read is then an error.
type tree struct {
	file io.ReaderAt
	size uint64 // of the file, in bytes
	page uint64 // size of a page, in bytes
	high uint64 // pages there are
	tx   uint64 // the transaction of the newest meta
	seen map[uint64]bool
}

func (t *tree) check() error {
	root, free, err := t.meta()
	if err != nil {
		return err
	}
	if want := t.high * t.page; t.size < want {
		return &cutError{want}
	}
	if err := t.walk(root, nil, nil, 0); err != nil {
		return err
	}
	return t.freelist(free)
}

// read is a part of the file.
func (t *tree) read(at, size uint64) ([]byte, error) {
	b := make([]byte, size)
	if _, err := t.file.ReadAt(b, int64(at)); err != nil {
		return nil, err
	}
	return b, nil
}

// meta reads the newer of the two metas that are whole.
func (t *tree) meta() (root, free uint64, err error) {
	found := false
	try := func(at uint64) {
		m, err := t.read(at+pageHeader, metaSize)
		if err != nil {
			return // no file is that short, or it is not at this place
		}
		sum := fnv.New64a()
		sum.Write(m[:metaSize-8])
		if native.Uint32(m) != boltMagic || sum.Sum64() != native.Uint64(m[metaSize-8:]) {
			return
		}
		if tx := native.Uint64(m[48:]); !found || tx > t.tx {
			found, t.tx = true, tx
			t.page, root, free, t.high = uint64(native.Uint32(m[8:])), native.Uint64(m[16:]), native.Uint64(m[32:]), native.Uint64(m[40:])
		}
	}
	try(0)
	for size := uint64(1024); size <= 64<<10; size *= 2 { // the second page begins where the first one ends
		try(size)
	}
	switch {
	case !found:
		return 0, 0, errors.New("it has no meta page")
	case t.page < 1024 || t.high < 3:
		return 0, 0, errors.New("its meta page tells nonsense")
	}
	return root, free, nil
}

// at is a page with those that follow it.
func (t *tree) at(id uint64) (page []byte, err error) {
	if id < 2 || id >= t.high {
		return nil, fmt.Errorf("there is no page %d", id)
	}
	if page, err = t.read(id*t.page, t.page); err != nil {
		return nil, err
	}
	more := uint64(native.Uint32(page[12:]))
	if got := native.Uint64(page); got != id {
		return nil, fmt.Errorf("page %d calls itself %d", id, got)
	}
	if id+more >= t.high {
		return nil, fmt.Errorf("page %d goes on beyond the end", id)
	}
	for i := id; i <= id+more; i++ {
		if t.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		t.seen[i] = true
	}
	if more > 0 {
		return t.read(id*t.page, (more+1)*t.page)
	}
	return page, nil
}

// walk checks a page and what is below it; its keys are from low on and less than high, where these are given.
func (t *tree) walk(id uint64, low, high []byte, depth int) error {
	if depth > maxTreeDepth {
		return errors.New("its tree has no end")
	}
	page, err := t.at(id)
	if err != nil {
		return err
	}
	return t.elements(page, fmt.Sprintf("page %d", id), low, high, depth)
}

// elements checks a page's elements: one in the file, or a small bucket's that is kept in a value.
func (t *tree) elements(page []byte, name string, low, high []byte, depth int) error {
	kind, count := native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	if kind != branchPage && kind != leafPage {
		return fmt.Errorf("%s is of kind %#x", name, kind)
	}
	if pageHeader+count*pageElement > len(page) || kind == branchPage && count == 0 {
		return fmt.Errorf("%s has %d elements", name, count)
	}
	keys := make([][]byte, count)
	var last []byte
	for i := range count {
		element := page[pageHeader+i*pageElement:]
		var at, key, value uint64
		if kind == branchPage {
			at, key = uint64(native.Uint32(element)), uint64(native.Uint32(element[4:]))
		} else {
			at, key, value = uint64(native.Uint32(element[4:])), uint64(native.Uint32(element[8:])), uint64(native.Uint32(element[12:]))
		}
		if at+key+value > uint64(len(element)) {
			return fmt.Errorf("%s: element %d lies beyond its end", name, i)
		}
		keys[i] = element[at : at+key]
		switch {
		case i > 0 && bytes.Compare(last, keys[i]) >= 0, low != nil && bytes.Compare(keys[i], low) < 0, high != nil && bytes.Compare(keys[i], high) >= 0:
			return fmt.Errorf("%s: key %d is out of order", name, i)
		}
		last = keys[i]
		if kind == leafPage && native.Uint32(element)&bucketElement != 0 {
			if err := t.bucket(element[at+key:at+key+value], name, depth); err != nil {
				return err
			}
		}
	}
	if kind == leafPage {
		return nil
	}
	for i := range count {
		next := high
		if i+1 < count {
			next = keys[i+1]
		}
		if err := t.walk(native.Uint64(page[pageHeader+i*pageElement+8:]), keys[i], next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) bucket(value []byte, name string, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("%s has half a bucket", name)
	}
	if root := native.Uint64(value); root != 0 {
		return t.walk(root, nil, nil, depth+1)
	}
	if value = value[bucketHeader:]; len(value) < pageHeader || depth > maxTreeDepth {
		return fmt.Errorf("%s has half a bucket", name)
	}
	return t.elements(value, name+", a bucket in it", nil, nil, depth+1)
}

// freelist checks the list of free pages, where one is kept: a page that is in use would be written over.
func (t *tree) freelist(id uint64) error {
	if id == noFreelist {
		return nil
	}
	page, err := t.at(id)
	if err != nil {
		return err
	}
	count, ids := uint64(native.Uint16(page[10:])), page[pageHeader:]
	if count == 0xFFFF { // the first number is the count
		count, ids = native.Uint64(ids), ids[8:]
	}
	if native.Uint16(page[8:]) != freelistPage || count > uint64(len(ids))/8 {
		return fmt.Errorf("page %d is no list of free pages", id)
	}
	for i := range count {
		if free := native.Uint64(ids[8*i:]); free < 2 || free >= t.high || t.seen[free] {
			return fmt.Errorf("page %d is called free", free)
		}
	}
	return nil
}
