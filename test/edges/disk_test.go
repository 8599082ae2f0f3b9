package edges

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/supnode/supnode/test/await"
)

// mount makes dir a file system of its own, of so many MiB.
func mount(t *testing.T, dir string, size int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=700", size)); err != nil {
		t.Skipf("a disk that can be filled or made read-only needs root and mount(2): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// ballast takes what is left of a disk.
func ballast(t *testing.T, dir string) (remove func()) {
	t.Helper()
	file := filepath.Join(dir, "ballast")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<16); len(block) > 0; {
		n, err := f.Write(block)
		if errors.Is(err, unix.ENOSPC) {
			block = block[:len(block)/2*min(1, n+1)]
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

// A server whose disk is full, or read-only, ends, and says why and what helps; it does not start again before that is mended.
// The children of the others run on, its own move; with space it is back, and nothing that was acknowledged is lost.
func TestADiskThatTakesNoMore(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		spoil   func(t *testing.T, dir string) (mend func())
		running []string // words of the server that runs
		start   []string // words of one that is started
	}{
		"full": {ballast, []string{"no space left on device", "free some space"}, []string{"no space left on device", "free some space"}},
		"read-only": {func(t *testing.T, dir string) func() {
			remount := func(flags uintptr) error { return unix.Mount("", dir, "", unix.MS_REMOUNT|flags, "") }
			if err := remount(unix.MS_RDONLY); err != nil {
				// Files are open for writing: what the kernel does by itself to a disk that fails, it does not do when asked.
				t.Skipf("can't remount read-only under a running server: %v", err)
			}
			return func() {
				if err := remount(0); err != nil {
					t.Fatal(err)
				}
			}
		}, nil, []string{"read-only file system", "mount the file system for writing", dirOf}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var disk string
			w := startTown(t, func(name, text string) string {
				if name == "n3" {
					disk = strings.TrimSpace(strings.SplitAfter(strings.SplitAfter(text, "data_dir: ")[1], "\n")[0])
					mount(t, disk, 72)
				}
				return text
			})
			ctx := within(t)
			n3 := w.Node("n3")
			unharmed := w.undisturbed(t, "n1", "n2")
			if a := ask(t, "GET", w.url("n3", "/readyz"), ""); !strings.Contains(a.body, "MiB free") {
				t.Errorf("readyz says nothing of the disk: %s", a.body)
			}
			if what == "read-only" { // a disk can't be made read-only while files on it are open for writing
				if err := n3.Term(); err != nil {
					t.Fatal(err)
				}
				if _, err := n3.Wait(ctx); err != nil {
					t.Fatal(err)
				}
			}
			mend := c.spoil(t, disk)
			if what == "full" {
				for i := range 200 { // until the log needs another page
					if !n3.Running() {
						break
					}
					child := fmt.Sprintf(`{"id": "filler-%d", "behavior": "exec", "restart": "temporary", "selector": {"node": "n1"}, "args": [{"command": "/bin/true", "env": {"A": %q}}]}`, i, strings.Repeat("x", 200_000))
					try(ctx, "POST", w.url("n1", "/v1/supervisors/steady/children"), child)
				}
				status, err := n3.Wait(ctx)
				if err != nil || status == 0 {
					t.Fatalf("the server with the full disk: status %d, %v", status, err)
				}
				wantWords(t, n3.Tail(30), c.running...)
			}
			for i, word := range c.start {
				if word == dirOf {
					c.start[i] = disk
				}
			}
			for range 2 {
				refused(t, n3.File, 1, c.start...)
			}
			unharmed()
			if a := ask(t, "POST", w.url("n2", "/v1/supervisors"), `{"name": "meanwhile"}`); a.status != 201 {
				t.Errorf("two of three decide nothing: %d %s", a.status, a.body)
			}
			mend()
			if err := n3.Start(); err != nil {
				t.Fatal(err)
			}
			if err := w.Ready(ctx, "n3"); err != nil {
				t.Fatalf("%v\n%s", err, n3.Tail(30))
			}
			await.Nil(t, "n3 to know what was decided without it", func() error {
				if a, err := try(ctx, "GET", w.url("n3", "/v1/supervisors/meanwhile?consistency=stale"), ""); err != nil || a.status != 200 {
					return fmt.Errorf("%d %s, %v", a.status, a.body, err)
				}
				return nil
			})
			await.Nil(t, "c3 to be back on n3", func() error {
				if got := w.lives(t)["c3"]; !strings.HasPrefix(got, "running on n3") {
					return errors.New(got)
				}
				return nil
			})
			unharmed()
			if trouble, err := w.Trouble(); err != nil || len(trouble) > 0 {
				t.Errorf("%q, %v", trouble, err)
			}
		})
	}
}

// dirOf stands for the data directory among words.
const dirOf = "DATA_DIR"

// Before the disk is full the node says so: /readyz is not ready, in words.
func TestADiskThatIsNearlyFull(t *testing.T) {
	t.Parallel()
	l := newLone(t, "")
	mount(t, l.data, 40)
	p := start(t, l.file)
	await.Nil(t, "a leader", func() error {
		a, err := try(t.Context(), "GET", "http://"+l.admin+"/v1/nodes?timeout=1s", "")
		if err == nil && a.status != 200 {
			err = errors.New(a.body)
		}
		return err
	})
	a := ask(t, "GET", "http://"+l.admin+"/readyz", "")
	var r struct {
		Ready  bool
		Checks []struct {
			Name, Detail string
			OK           bool
		}
	}
	a.into(t, &r)
	found := false
	for _, c := range r.Checks {
		if c.Name == "disk" {
			found = !c.OK && strings.Contains(c.Detail, "MiB free in "+l.data+" (at least 64 are needed)")
		}
	}
	if a.status != 503 || r.Ready || !found {
		t.Errorf("%d %s", a.status, a.body)
	}
	p.Leaves(syscall.SIGTERM)
}
