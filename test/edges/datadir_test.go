package edges

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/supnode/supnode/test/machine"
)

// agentOf writes the file of an agent of a town.
func agentOf(t *testing.T, w *town, name, data string) (file, admin string) {
	t.Helper()
	var servers []string
	for _, n := range w.Names() {
		servers = append(servers, fmt.Sprintf("{name: %s, addr: %q}", n, w.Node(n).RPC))
	}
	file, admin = filepath.Join(t.TempDir(), name+".yaml"), machine.Addr()
	put(t, file, fmt.Sprintf("node: {name: %s, data_dir: %s}\ncluster: {servers: [%s]}\nrpc: {listen: %q}\nadmin: {listen: %q}\n",
		name, data, strings.Join(servers, ", "), machine.Addr(), admin))
	return file, admin
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
}

// A second process on a data_dir waits for the first to end, as after a kill, then says who has it. The first goes on.
func TestASecondProcessOnADataDir(t *testing.T) {
	t.Parallel()
	w := theTown(t)
	unharmed := w.undisturbed(t)
	n1 := w.Node("n1")
	text, err := os.ReadFile(n1.File)
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "again.yaml")
	put(t, again, strings.Replace(string(text), "listen: "+n1.Admin, "listen: "+machine.Addr(), 1))
	pid, _ := n1.PID()
	refused(t, again, 1, n1.Data, "in use", fmt.Sprint(pid))
	unharmed()
}

// A data_dir belongs to one cluster: brought to another one, it is refused, naming both.
func TestADataDirOfAnotherCluster(t *testing.T) {
	t.Parallel()
	w := theTown(t)
	unharmed := w.undisturbed(t)
	data := filepath.Join(t.TempDir(), "a1")
	file, admin := agentOf(t, w, "a1", data)
	p := start(t, file)
	p.Ready(admin)
	p.Leaves(syscall.SIGTERM)

	other := newLone(t, "")
	o := start(t, other.file)
	o.Ready(other.admin)
	put(t, file, fmt.Sprintf("node: {name: a1, data_dir: %s}\ncluster: {servers: [{name: n1, addr: %q}]}\nrpc: {listen: %q}\nadmin: {listen: %q}\n",
		data, other.rpc, machine.Addr(), admin))
	refused(t, file, 1, "the data directory "+data+" belongs to cluster ", "and the servers it reaches are cluster ",
		"correct cluster.servers", "a node.data_dir of its own")
	o.Leaves(syscall.SIGTERM)

	file, admin = agentOf(t, w, "a1", data) // at home it is welcome
	p = start(t, file)
	p.Ready(admin)
	p.Leaves(syscall.SIGTERM)
	unharmed()
}

// A data_dir of another node, and one that is no directory, or not one's own.
func TestADataDirThatIsNotThisNodes(t *testing.T) {
	t.Parallel()
	l := newLone(t, "")
	p := start(t, l.file)
	p.Ready(l.admin)
	p.Leaves(syscall.SIGTERM)
	file := filepath.Join(l.dir, "n2.yaml")
	put(t, file, fmt.Sprintf("node: {name: n2, data_dir: %s}\ncluster: {servers: [{name: n2, addr: %q}]}\nadmin: {listen: %q}\n", l.data, l.rpc, l.admin))
	refused(t, file, 1, "the data directory "+l.data+" is node n1's, not n2's", "a node.data_dir of its own")

	notOne := filepath.Join(l.dir, "file")
	put(t, notOne, "")
	put(t, file, strings.Replace(mustRead(t, l.file), l.data, notOne, 1))
	refused(t, file, 1, notOne+" is not a directory", "name one")

	if err := os.Chmod(l.data, 0o777); err != nil {
		t.Fatal(err)
	}
	refused(t, l.file, 1, l.data+" can be written by other users (mode 0777)", "chmod 700")
	if err := os.Chmod(l.data, 0o700); err != nil {
		t.Fatal(err)
	}
	p = start(t, l.file)
	p.Ready(l.admin)
	p.Leaves(syscall.SIGTERM)
}

// A copied data_dir is refused until it is adopted: two nodes with one identity would each hold the other's votes.
func TestACopiedDataDir(t *testing.T) {
	t.Parallel()
	l := newLone(t, "")
	p := start(t, l.file)
	p.Ready(l.admin)
	copied := filepath.Join(l.dir, "copy")
	copyDir(t, l.data, copied)
	elsewhere := lone{dir: l.dir, file: filepath.Join(l.dir, "copy.yaml"), data: copied, rpc: machine.Addr(), admin: machine.Addr()}
	elsewhere.write(t, elsewhere.file, "")
	refused(t, elsewhere.file, 1, copied+" of node n1 is a copy", "supnode node adopt "+copied)

	// A state.db alone, in an empty directory, is a copy as well.
	bare := filepath.Join(l.dir, "bare")
	if err := os.Mkdir(bare, 0o700); err != nil {
		t.Fatal(err)
	}
	copyDir(t, filepath.Join(l.data, "state.db"), filepath.Join(bare, "state.db"))
	elsewhere.data = bare
	elsewhere.write(t, elsewhere.file, "")
	refused(t, elsewhere.file, 1, bare+" of node n1 is a copy")
	p.Leaves(syscall.SIGTERM)

	status, out, said := supnode(t, "node", "adopt", copied)
	if status != 0 {
		t.Fatalf("adopt: %d %s", status, said)
	}
	wantWords(t, out, "is node n1 here now", "may never start again")
	l.data = copied
	l.write(t, l.file, "")
	p = start(t, l.file)
	p.Ready(l.admin)
	p.Leaves(syscall.SIGTERM)
}

// Parts of a data_dir that are lost: the node says which, why that matters and what is left to do, and does not begin anew.
func TestADataDirWithSomethingMissing(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		lose  string
		words []string
	}{
		"its identity": {"state.db", []string{"state.db is gone", "Put the file back", "new node.name"}},
		"its Raft log": {"raft/raft.db", []string{"raft.db is gone and node n1 had it", "could vote twice", "Put the file back"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := newLone(t, "")
			p := start(t, l.file)
			p.Ready(l.admin)
			p.Leaves(syscall.SIGTERM)
			file := filepath.Join(l.data, c.lose)
			if err := os.Rename(file, file+".away"); err != nil {
				t.Fatal(err)
			}
			refused(t, l.file, 1, c.words...)
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("%s is made anew: %v", c.lose, err)
			}
			if err := os.Rename(file+".away", file); err != nil {
				t.Fatal(err)
			}
			p = start(t, l.file)
			p.Ready(l.admin)
			p.Leaves(syscall.SIGTERM)
		})
	}
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
