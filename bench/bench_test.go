package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

func life(child string, incarnation uint64, start history.Instant) history.Life {
	return history.Life{Key: history.Key{Supervisor: "pool", Child: child}, Incarnation: incarnation, Start: start}
}

func TestAllAreBackWhenEachHasANewerLifeThatSaidSo(t *testing.T) {
	before := newest([]history.Life{life("a", 1, 10), life("b", 1, 10), life("a", 3, 30)})
	for _, c := range []struct {
		name string
		now  []history.Life
		want string // within the error; empty: they are back
	}{
		{"both restarted", []history.Life{life("a", 3, 30), life("a", 5, 50), life("b", 4, 40)}, ""},
		{"one has not", []history.Life{life("a", 5, 50), life("b", 1, 10)}, "1 of 2 children are not back"},
		{"its older life is no proof", []history.Life{life("a", 3, 30), life("a", 1, 10), life("b", 4, 40)}, "1 of 2 children are not back"},
		{"one has not written its record", []history.Life{life("a", 5, 0), life("b", 4, 40)}, "1 of 2 children are not back"},
		{"one was never there", []history.Life{life("a", 5, 50)}, "1 of 2 children have started"},
	} {
		err := all(2, newest(c.now), before)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestUntilWaitsForRecordsAndReadsThem(t *testing.T) {
	dir := t.TempDir()
	j, err := watch(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	write := func(child string) {
		name := filepath.Join(dir, fmt.Sprintf("pool~%s~7~n1~42~main.journal", child))
		if err := os.WriteFile(name, []byte("S 100 node=n1 pid=42\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
	write("a")
	if err := j.forget(); err != nil {
		t.Fatal(err)
	}
	if seen, err := j.wait(1, 10*time.Millisecond); seen != 0 || err != nil {
		t.Errorf("%d notices are left: %v", seen, err)
	}
	done := make(chan struct{})
	go func() { defer close(done); write("b"); write("c") }()
	lives, err := j.until(2, 10*time.Second, func(l []history.Life) error {
		if len(l) < 3 {
			return fmt.Errorf("%d", len(l))
		}
		return nil
	})
	<-done
	if err != nil || len(lives) != 3 || lives[2].Start != 100 {
		t.Errorf("%v %v", lives, err)
	}
	if _, err := j.until(1, time.Millisecond, func([]history.Life) error { return fmt.Errorf("never") }); err == nil || !strings.Contains(err.Error(), "never") {
		t.Errorf("giving up does not say why: %v", err)
	}
}
