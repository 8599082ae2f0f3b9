package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
)

var newLog = flag.Bool("newlog", false, "write testdata/log.v1 anew from the scripts named in golden_test.go")

// goldenScripts are the stories whose logs testdata/log.v1 keeps.
var goldenScripts = []string{
	"s12_failed_start", "s15_intensity", "s16_guardian_lost", "s18_failed_restart", "s24_restart_types_on_node_failure", "s29_selectors",
	"s33_restart_child", "s36_idempotency", "group_requests_wait_for_the_start", "p3_goodbye", "restore_hold", "ttl_change", "once_manifests",
}

// TestGoldenLog replays logs that version 1 of the format holds: each later version must read them and come to the same
// state, byte for byte. testdata/log.v1 is a list of logs (a count, then entries behind their lengths, all uvarints), and
// testdata/log.v1.sha256 the hash of the states that follow from them.
func TestGoldenLog(t *testing.T) {
	const file, hashFile = "testdata/log.v1", "testdata/log.v1.sha256"
	if *newLog {
		logs := scriptLogs(t)
		if err := os.WriteFile(file, logs, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(hashFile, []byte(replay(t, logs)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(hashFile)
	if err != nil {
		t.Fatal(err)
	}
	if got := replay(t, logs); got != strings.TrimSpace(string(want)) {
		t.Errorf("the logs of version 1 lead to states with hash %s instead of %s", got, want)
	}
}

// TestGoldenSnapshot restores a snapshot of version 1 of the format, and writes the same bytes again.
func TestGoldenSnapshot(t *testing.T) {
	const file = "testdata/snapshot.v1"
	if *newLog {
		if err := os.WriteFile(file, snapshot(t, playScript(t, "restore_hold").s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Restore(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, snapshot(t, s)) {
		t.Error("a snapshot of version 1 is written otherwise than it was read")
	}
}

func playScript(t *testing.T, name string) *player {
	text, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	p := &player{world: newWorld(t)}
	for line := range strings.Lines(string(text)) {
		if order, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "> "); ok {
			p.do(order)
		}
	}
	return p
}

func scriptLogs(t *testing.T) []byte {
	var logs []byte
	for _, name := range goldenScripts {
		p := playScript(t, name)
		logs = binary.AppendUvarint(logs, uint64(len(p.log)))
		for _, entry := range p.log {
			logs = binary.AppendUvarint(logs, uint64(len(entry)))
			logs = append(logs, entry...)
		}
	}
	return logs
}

func replay(t *testing.T, logs []byte) string {
	t.Helper()
	sum := sha256.New()
	for r := bytes.NewReader(logs); r.Len() > 0; {
		entries, err := binary.ReadUvarint(r)
		if err != nil {
			t.Fatal(err)
		}
		s := New()
		for i := range entries {
			n, err := binary.ReadUvarint(r)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil {
				t.Fatal(err)
			}
			e, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			s.Apply(i+1, e)
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		sum.Write(snapshot(t, s))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
