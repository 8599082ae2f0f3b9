package edges

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/supnode/supnode/test/await"
)

// lived is a lone server that has some history, and has left.
func lived(t *testing.T) lone {
	t.Helper()
	l := newLone(t, "")
	put(t, l.file, strings.Replace(mustRead(t, l.file), "cluster: {", "cluster: {heartbeat_interval: 100ms, lease_ttl: 1s, ", 1)) // quick elections
	p := start(t, l.file)
	p.Ready(l.admin)
	url := "http://" + l.admin + "/v1/supervisors"
	for i := range 20 {
		if a := ask(t, "POST", url, fmt.Sprintf(`{"name": "s%d", "children": [{"id": "w", "behavior": "exec", "args": [{"command": "/bin/sleep", "args": ["1000"], "env": {"A": %q}}]}]}`,
			i, strings.Repeat("x", 5000))); a.status != 201 {
			t.Fatal(a.body)
		}
	}
	p.Leaves(syscall.SIGTERM)
	return l
}

// A data directory with a file that is cut short, or has some of its bits turned, at many places of it: the server says that it
// is damaged, which file, and what to do, and ends; or the place was one that holds nothing, and all that it knew is there.
// Never a fault, never a wrong answer.
func TestADamagedDataDir(t *testing.T) {
	t.Parallel()
	l := lived(t)
	whole := filepath.Join(l.dir, "whole")
	copyDir(t, l.data, whole)
	type damage struct {
		what string
		do   func(b []byte) []byte
	}
	var damages []damage
	for _, part := range []int{0, 1, 2, 3, 4, 6} {
		damages = append(damages, damage{fmt.Sprintf("cut to %d eighths", part), func(b []byte) []byte { return b[:len(b)/8*part] }})
	}
	for page := range 40 {
		damages = append(damages, damage{fmt.Sprintf("page %d turned", page), func(b []byte) []byte {
			for i := page * 4096; i < min((page+1)*4096, len(b)); i += 7 {
				b[i] ^= 0x55
			}
			return b
		}})
	}
	for at := range 24 {
		damages = append(damages, damage{fmt.Sprintf("a byte of eight pages turned, at %d", at*170), func(b []byte) []byte {
			for page := range 8 {
				if i := page*4096 + at*170; i < len(b) {
					b[i] ^= 0x10
				}
			}
			return b
		}})
	}
	refusals := 0
	for _, file := range []string{"raft/raft.db", "state.db"} {
		for _, d := range damages {
			if file == "state.db" && strings.HasPrefix(d.what, "page") && len(d.what) > len("page 9 turned") {
				continue // it has a few pages
			}
			name := file + " " + d.what
			path := filepath.Join(l.data, file)
			b := []byte(mustRead(t, filepath.Join(whole, file)))
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0) // the same inode: the directory is no copy
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(d.do(b)); err != nil {
				t.Fatal(err)
			}
			f.Close()
			if said, ended := l.tried(t); ended {
				refusals++
				if !strings.Contains(said, path) || strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") ||
					!(strings.Contains(said, "damaged") || strings.Contains(said, "cut short") || strings.Contains(said, "gone")) {
					t.Errorf("%s: %.3000s", name, said)
				}
			}
		}
		restore(t, filepath.Join(whole, file), filepath.Join(l.data, file))
	}
	t.Logf("%d of %d damages were noticed", refusals, 2*len(damages))
	if refusals < 20 {
		t.Errorf("only %d damages were noticed", refusals)
	}
	if said, ended := l.tried(t); ended { // with the file put back it goes on, as the words say
		t.Error(said)
	}
}

func restore(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(mustRead(t, from)); err != nil {
		t.Fatal(err)
	}
}

// tried starts the server: it ended by itself, and said why, or it knows all that it knew.
func (l lone) tried(t *testing.T) (said string, ended bool) {
	t.Helper()
	p := start(t, l.file)
	defer p.Kill()
	await.Nil(t, "the server to run or to end", func() error {
		if ended = p.Ended(); ended {
			return nil
		}
		a, err := try(t.Context(), "GET", "http://"+l.admin+"/v1/supervisors?timeout=1s", "")
		if err != nil {
			return err
		}
		if a.status != 200 {
			return fmt.Errorf("%s", a.body)
		}
		if n := count(t, a); n != 20 {
			t.Errorf("it knows %d of 20 supervisors:\n%s", n, p.Said())
		}
		return nil
	})
	return p.Said(), ended
}

// A damaged newest snapshot stops the server, although an older one may be there: Raft would go back to that and miss what the
// log has dropped since. The words say whether moving it away is enough.
func TestADamagedSnapshot(t *testing.T) {
	t.Parallel()
	l := lived(t)
	snapshot := filepath.Join(l.data, "raft", "snapshots", "2-30-1700000000000")
	if err := os.MkdirAll(snapshot, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(snapshot, "meta.json"), `{"Version": 1, "ID": "2-30-17`)
	put(t, filepath.Join(snapshot, "state.bin"), "half a state")
	refused(t, l.file, 1, "the newest snapshot "+snapshot+" is damaged", "move it away and start again")
	if err := os.Rename(snapshot, filepath.Join(l.dir, "away")); err != nil {
		t.Fatal(err)
	}
	if said, ended := l.tried(t); ended {
		t.Error(said)
	}
}
