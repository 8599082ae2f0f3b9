package store_test

import (
	"errors"
	"os"
	"testing"

	"github.com/supnode/supnode/node/store"
	"golang.org/x/sys/unix"
)

// TestAFullDiskStopsTheStoreAndSpaceHealsIt on a small tmpfs (protocol.md, fact 7).
func TestAFullDiskStopsTheStoreAndSpaceHealsIt(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a file system that can be filled needs root and mount(2): %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	ballast := dir + "/ballast"
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var d deaths
	s := open(t, dir, &d)
	var stored uint64
	for i := uint64(1); i < 10_000 && d.count() == 0; i++ {
		l := entries(i, i, 1)
		l[0].Data = make([]byte, 16<<10)
		if err := s.Log().StoreLogs(l); err == nil {
			stored = i
		}
	}
	if d.count() != 1 || !errors.Is(d.all[0], unix.ENOSPC) {
		t.Fatalf("after %d entries fatal was called with %v, want one ENOSPC", stored, d.all)
	}
	if free, total, err := store.FreeSpace(dir); err != nil || free > 256<<10 || total != 2<<20 {
		t.Errorf("free space %d of %d, %v", free, total, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d = deaths{}
	s = open(t, dir, &d)
	defer s.Close()
	if last, err := s.Log().LastIndex(); err != nil || last != stored {
		t.Errorf("the log ends at %d, %v; acknowledged were %d", last, err, stored)
	}
	if err := s.Log().StoreLogs(entries(stored+1, stored+1, 1)); err != nil {
		t.Error(err)
	}
}
