package edges

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/machine"
)

// A port that another process has is said to be so, with what to do, in the words of the file. The other one goes on.
func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"admin.listen", "rpc.listen"} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			l := newLone(t, "")
			addr := map[string]string{"admin.listen": l.admin, "rpc.listen": l.rpc}[field]
			other, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			began := time.Now()
			refused(t, l.file, 1, field+" "+addr+" is in use by another process: stop it, or choose another port")
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s to say so", took)
			}
			other.Close()
			p := start(t, l.file) // with the port free it starts: nothing was left half done
			p.Ready(l.admin)
			p.Leaves(syscall.SIGTERM)
		})
	}
}

// An address that this host does not have.
func TestAnAddressOfAnotherHost(t *testing.T) {
	t.Parallel()
	l := newLone(t, "")
	file := filepath.Join(l.dir, "elsewhere.yaml")
	put(t, file, "node: {name: n1, data_dir: "+l.data+"}\ncluster: {servers: [{name: n1, addr: 192.0.2.7:7101}]}\nrpc: {insecure: true}\nadmin: {listen: "+l.admin+"}\n")
	refused(t, file, 1, "rpc.listen", "192.0.2.7:7101", "write host:port with an address of this host")
	put(t, file, "node: {name: n1, data_dir: "+l.data+"}\ncluster: {servers: [{name: n1, addr: "+l.rpc+"}]}\nadmin: {listen: 192.0.2.7:8101, insecure: true}\n")
	refused(t, file, 1, "admin.listen 192.0.2.7:8101", "write host:port with an address of this host")
	if entries, err := os.ReadDir(filepath.Join(l.data, "raft")); err == nil && len(entries) > 0 {
		t.Errorf("a Raft log was begun: %v", entries)
	}
}

// A server whose file has another address of its own than the others' files: it reaches them, and they do not reach it.
func TestAServerThatTheLeaderDoesNotReach(t *testing.T) {
	t.Parallel()
	w := startTown(t, nil)
	ctx := within(t)
	leader, err := w.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	moved, addr := w.Node(w.Others(leader)[0]), machine.Addr()
	if err := moved.Term(); err != nil {
		t.Fatal(err)
	}
	if _, err := moved.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(moved.File)
	if err != nil {
		t.Fatal(err)
	}
	put(t, moved.File, strings.ReplaceAll(string(text), moved.RPC, addr))
	if err := moved.Start(); err != nil {
		t.Fatal(err)
	}
	want := leader + " is reached and leads, but does not reach this node: its file must have " + addr + " as the address of " + moved.Name
	await.True(t, "it says that nobody reaches it", func() bool {
		a, err := try(ctx, "GET", w.url(moved.Name, "/readyz"), "")
		return err == nil && a.status == 503 && strings.Contains(a.body, want)
	})
}
