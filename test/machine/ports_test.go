package machine

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"testing"
)

// sibling makes this program another test process: it is given addresses, prints them, and lives until its input ends.
const sibling = "SUPNODE_TEST_SIBLING"

func TestMain(m *testing.M) {
	if os.Getenv(sibling) != "" {
		json.NewEncoder(os.Stdout).Encode(Addrs(3 * blockSize / 4))
		json.NewEncoder(os.Stdout).Encode(Addrs(3 * blockSize / 4)) // of another block
		os.Stdin.Read(make([]byte, 1))
		return
	}
	os.Exit(m.Run())
}

func TestNoAddressIsGivenTwiceWhileItsOwnerLives(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	given := make(map[string]bool)
	give := func(addrs []string) {
		for _, a := range addrs {
			if given[a] {
				t.Errorf("%s is given twice", a)
			}
			given[a] = true
		}
	}
	for i := range 3 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), sibling+"=1", "TMPDIR="+t.TempDir())
		alive, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer alive.Close()
		said := bufio.NewScanner(out)
		for range 2 {
			said.Scan()
			var addrs []string
			if err := json.Unmarshal(said.Bytes(), &addrs); err != nil {
				t.Fatalf("process %d says %q: %v", i, said.Text(), err)
			}
			give(addrs)
		}
		give(Addrs(4))
	}
}

func TestAPortThatSomebodyListensOnIsNotGiven(t *testing.T) {
	base := Base(1)
	l, err := net.Listen("tcp", addr(base+2+adminOffset))
	if err != nil {
		t.Skip("somebody does without our help:", err)
	}
	defer l.Close()
	if next := Base(1); next == base+1 {
		t.Errorf("base %d is given, though %s is taken", next, l.Addr())
	}
}
