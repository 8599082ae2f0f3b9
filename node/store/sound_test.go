package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// A log that was cut short is refused in words, wherever it was cut.
func TestACutLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= 300; i++ {
		if err := s.Log().StoreLog(&raft.Log{Index: i, Term: 1, Data: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, LogFile)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := info.Size() / 2; size > 20_000; size /= 2 {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Dir: dir, Fatal: func(err error) { t.Error(err) }})
		if err == nil {
			s.Close()
			t.Fatalf("opened with %d of %d bytes", size, info.Size())
		}
		if !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
