package proc

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/supnode/supnode/test/await"
)

func TestProcessesAreFoundByParentAndByFolder(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "sleep 100 & wait")
	cmd.Env = append(os.Environ(), "A_FOLDER="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var below []Process
	await.True(t, "the shell and its sleep", func() bool {
		kids, _ := Children(os.Getpid())
		below, _ = Descendants(cmd.Process.Pid)
		of, _ := Of(dir)
		return slices.ContainsFunc(kids, func(p Process) bool { return p.PID == cmd.Process.Pid }) && len(below) == 1 &&
			below[0].Comm == "sleep" && below[0].PPID == cmd.Process.Pid && len(of) == 2
	})
	p, err := os.FindProcess(below[0].PID)
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	cmd.Process.Kill()
	cmd.Wait()
	await.True(t, "both of them gone", func() bool { of, _ := Of(dir); return len(of) == 0 })
	if _, ok := Get(cmd.Process.Pid); ok {
		t.Error("a process that was waited for is still seen")
	}
}

func TestAZombieIsGone(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	await.True(t, "a zombie", func() bool { p, ok := Get(cmd.Process.Pid); return ok && p.Gone() })
}

func TestListenersAndTheirOwner(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if got, err := Listening(port, 1); err != nil || !slices.Equal(got, []int{port}) {
		t.Errorf("listening: %v %v, want %d", got, err, port)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	mine, err := SocketsOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	all, err := Sockets()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(s Socket) bool { return s.RemotePort == port && s.State == Established && mine[s.Inode] }) {
		t.Error("this process's own connection is not seen as its own")
	}
	c.Close()
	l.Close()
	if got, err := Listening(port); err != nil || len(got) != 0 {
		t.Errorf("listening after the close: %v %v", got, err)
	}
}

func TestWaitedOnlyRises(t *testing.T) {
	before, ok := Waited()
	if !ok {
		t.Skip("this kernel has no pressure stall information")
	}
	if after, ok := Waited(); !ok || after < before {
		t.Errorf("%v %v after %v", after, ok, before)
	}
}
