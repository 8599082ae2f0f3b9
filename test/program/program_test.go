package program

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/machine"
	"github.com/supnode/supnode/test/process"
)

func TestMain(m *testing.M) { os.Exit(machine.Run(m)) }

// greeter is the built program.
func greeter(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "greeter")
	if out, err := exec.Command("go", "build", "-o", path, "./greeter").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// run starts the program; at the end of the test it is interrupted, so that it stops what it started.
func run(t *testing.T, path string, env []string, args ...string) *process.Process {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	p := process.Start(t, cmd)
	t.Cleanup(func() {
		if !p.Ended() {
			p.Leaves(os.Interrupt)
		}
	})
	return p
}

// ask runs a command of the program against a cluster and decodes its answer.
func ask(path, addr string, into any, args ...string) error {
	out, err := exec.Command(path, append(args, "--addr", addr, "-o", "json")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

// start is a line of the notes.
type start struct {
	Node        sup.NodeName
	Incarnation uint64
	PID         int
}

func starts(t *testing.T, notes string) (all []start) {
	t.Helper()
	b, err := os.ReadFile(notes)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var s start
		if _, err := fmt.Sscan(line, &s.Node, &s.Incarnation, &s.PID); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, s)
	}
	return all
}

// A program that calls Main is a whole supnode: its dev runs three processes of itself, its commands start a supervisor of its
// behavior, and when the process that runs the actor is killed the actor runs again in another one.
func TestAProgramOfBehaviorsIsAFullSupnode(t *testing.T) {
	path := greeter(t)
	base, notes := machine.Base(3), filepath.Join(t.TempDir(), "notes")
	p := run(t, path, nil, "dev", "--base-port", fmt.Sprint(base))
	addr := fmt.Sprintf("http://127.0.0.1:%d,http://127.0.0.1:%d,http://127.0.0.1:%d", base+1001, base+1002, base+1003)
	await.Nil(t, "three nodes with the behavior", func() error {
		var list struct{ Nodes []sup.NodeInfo }
		if err := ask(path, addr, &list, "nodes", "list"); err != nil {
			return err
		}
		up := 0
		for _, n := range list.Nodes {
			if n.Status == "up" && strings.Join(n.Behaviors, " ") == "exec greeter" {
				up++
			}
		}
		if up != 3 {
			return fmt.Errorf("%+v", list)
		}
		return ask(path, addr, nil, "sup", "show", "demo") // dev has come to its end of the start
	})
	manifest := filepath.Join(t.TempDir(), "pool.json")
	pool := sup.Spec{Name: "pool", Selector: sup.RoundRobin, Children: []sup.ChildSpec{
		{ID: "g1", Behavior: "greeter", Args: sup.Args(map[string]string{"notes": notes, "greeting": "hello"})},
	}}
	b, err := json.Marshal(pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ask(path, addr, nil, "sup", "start", manifest); err != nil {
		t.Fatal(err)
	}
	first := starts(t, notes)
	if len(first) != 1 || first[0].PID == p.PID() {
		t.Fatalf("it started %+v; dev itself is %d", first, p.PID())
	}
	if err := syscall.Kill(first[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await.Nil(t, "it runs again elsewhere", func() error {
		all := starts(t, notes)
		if len(all) < 2 {
			return fmt.Errorf("only %+v", all)
		}
		again := all[1]
		if again.Node == first[0].Node || again.PID == first[0].PID || again.Incarnation <= first[0].Incarnation {
			t.Fatalf("%+v after %+v", again, first[0])
		}
		var child sup.ChildInfo
		if err := ask(path, addr, &child, "children", "show", "pool", "g1"); err != nil {
			return err
		}
		if child.Status != sup.StatusRunning || child.Node != again.Node || child.Incarnation != again.Incarnation || child.RestartCount != 1 {
			return fmt.Errorf("%+v, and the actor says %+v", child, again)
		}
		return nil
	})
	p.Leaves(os.Interrupt)
	out, err := exec.Command(path, "sup", "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n  greeter sup [") {
		t.Errorf("its help calls it otherwise: %v\n%s", err, out)
	}
}

// A program's own part runs beside its node, holds supervisors, and is over before the node leaves.
func TestAProgramsOwnPartRunsBesideItsNode(t *testing.T) {
	path := greeter(t)
	base, dir := machine.Base(1), t.TempDir()
	notes, config := filepath.Join(dir, "notes"), filepath.Join(dir, "n1.yaml")
	addr := fmt.Sprintf("http://127.0.0.1:%d", base+1001)
	text := fmt.Sprintf("node: {name: n1, data_dir: ./n1}\ncluster:\n  servers: [{name: n1, addr: \"127.0.0.1:%d\"}]\n"+
		"rpc: {listen: \"127.0.0.1:%[1]d\"}\nadmin: {listen: \"127.0.0.1:%d\"}\n", base+1, base+1001)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := run(t, path, []string{"GREETER_BESIDE=" + notes}, "start", "--config", config)
	p.Says("hello, n1\n") // its actor answers
	p.Leaves(os.Interrupt)
	// What it did while it left stands in the log.
	again := run(t, path, nil, "start", "--config", config)
	var own sup.Info
	await.Nil(t, "the node is back", func() error { return ask(path, addr, &own, "sup", "show", "of-n1") })
	if own.Status != sup.StatusStopped || own.Reason != "its program leaves" {
		t.Errorf("nobody stopped its supervisor: %+v", own)
	}
	again.Leaves(os.Interrupt)
}
