package fsm

import (
	"bytes"
	"errors"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// corpus is a log with every kind of thing in it.
func corpus(t tb) [][]byte {
	w := newWorld(t)
	w.register("n1")
	w.register("n2", "exec", "reports")
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w1", sup.Permanent), child("w2", sup.Temporary)), Home: "n1"}})
	w.settle()
	w.report(key("pool", "w1"), ReportEnded, sup.ExitError, "exit status 1")
	w.apply(Command{NodeDown: &NodeDown{Node: "n1", Session: w.s.Node("n1").Session, Why: "refused"}})
	w.apply(Command{SetTTL: &SetTTL{HeartbeatInterval: 1, LeaseTTL: 2}})
	w.ask(Command{StopSupervisor: &StopSupervisor{Name: "pool", Reason: "enough"}})
	return w.log
}

// Every flipped bit and every truncation of a log entry is detected: it would make one replica differ from the others.
func TestDamagedEntriesAreDetected(t *testing.T) {
	for _, entry := range corpus(t) {
		for bit := range len(entry) * 8 {
			damaged := bytes.Clone(entry)
			damaged[bit/8] ^= 1 << (bit % 8)
			if _, err := Decode(damaged); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("bit %d of %d flipped: %v", bit, len(entry)*8, err)
			}
		}
		for n := range entry {
			if _, err := Decode(entry[:n]); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("cut to %d of %d bytes: %v", n, len(entry), err)
			}
		}
	}
}

// An entry that another version wrote is refused, never skipped or guessed at.
func TestEntriesOfOtherVersionsAreRefused(t *testing.T) {
	seal := func(version byte, payload any) []byte {
		p, err := encMode.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		b := append([]byte{entryMagic, version, 0, 0, 0, 0}, p...)
		sum := envelopeSum(b)
		b[2], b[3], b[4], b[5] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
		return b
	}
	if _, err := Decode(seal(entryVersion, &Entry{Clock: 5})); err != nil {
		t.Fatalf("the test seals wrongly: %v", err)
	}
	for name, b := range map[string][]byte{
		"another format":                      seal(entryVersion+1, &Entry{}),
		"an unknown field":                    seal(entryVersion, map[int]any{1: 0, 2: 0, 99: "x"}),
		"an unknown command":                  seal(entryVersion, map[int]any{1: 0, 2: 0, 3: []any{map[int]any{99: map[int]any{}}}}),
		"an unknown field of a known command": seal(entryVersion, map[int]any{3: []any{map[int]any{12: map[int]any{1: 2, 9: 1}}}}),
		"a string in place of a number":       seal(entryVersion, map[int]any{1: "x"}),
	} {
		if _, err := Decode(b); !errors.Is(err, ErrUnknownVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Applying an empty command stops the replica.
func TestEmptyCommandsPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an empty command was applied")
		}
	}()
	New().Apply(1, Entry{Commands: []Command{{}}})
}

// Flipped bits anywhere in a snapshot, truncations and anything behind its end is detected before the state is used.
func TestDamagedSnapshotsAreDetected(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w1", sup.Permanent), child("w2", sup.Transient))}})
	w.settle()
	whole := snapshot(t, w.s)
	for bit := 0; bit < len(whole)*8; bit += 3 {
		damaged := bytes.Clone(whole)
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, err := Restore(bytes.NewReader(damaged)); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknownVersion) {
			t.Fatalf("bit %d of %d flipped: %v", bit, len(whole)*8, err)
		}
	}
	for n := 0; n < len(whole); n += 2 {
		if _, err := Restore(bytes.NewReader(whole[:n])); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, err := Restore(bytes.NewReader(append(bytes.Clone(whole), 0))); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("one byte more: %v", err)
	}
	if _, err := Restore(bytes.NewReader(append([]byte(imageMagic), imageVersion+1))); !errors.Is(err, ErrUnknownVersion) {
		t.Fatalf("another format: %v", err)
	}
}
