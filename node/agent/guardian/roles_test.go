package guardian

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/machine"
)

// The test binary plays every part: the guardian, a supnode that can be killed, and commands that are hard to get rid of.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // a guardian's exit is not to take a second
	RunIfGuardian()
	role, argument, _ := strings.Cut(os.Getenv("ROLE"), ":")
	switch role {
	case "":
		os.Exit(machine.Run(m))
	case "supnode":
		playSupnode()
	case "tick":
		tickInto(argument)
	case "daemon": // starts a process that leaves: its own session, two forks
		become("fork:"+argument, true)
		<-make(chan struct{})
	case "daemon-and-leave":
		become("fork:"+argument, true)
	case "fork":
		become("tick:"+argument, true)
	}
}

// become starts this binary in another role; the caller may then exit.
func become(role string, setsid bool) {
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "ROLE="+role)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: setsid}
	if os.Getenv("BARE") != "" { // forget where we come from
		c.Env = []string{"ROLE=" + role, "BARE=1"}
	}
	if err := c.Start(); err != nil {
		panic(err)
	}
}

// tickInto writes the time of CLOCK_BOOTTIME into a file every millisecond, whatever it is told.
func tickInto(path string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	f, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(f, os.Getpid())
	for range time.Tick(time.Millisecond) {
		fmt.Fprintln(f, now())
	}
}

// ticks reads what a ticker wrote: its pid and its last tick, 0 when there is none yet.
func ticks(path string) (pid int, last int64, count int) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, 0
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var n int64
		if _, err := fmt.Sscan(lines.Text(), &n); err != nil {
			continue
		}
		if pid == 0 {
			pid = int(n)
		} else {
			last, count = max(last, n), count+1
		}
	}
	return pid, last, count
}

// What a played supnode is told, on one line of its stdin, and tells, on its stdout.
type playing struct {
	Dir       string
	NodeID    string
	TTL       time.Duration
	Fence     time.Duration
	Renew     time.Duration
	Isolation Isolation
	Programs  []Program
}

// playSupnode runs programs under a guardian and renews their lease until it is killed. It says "PORT GUARDIAN-PID", then a
// line for each event, and keeps the last deadline in Dir/deadline.
func playSupnode() {
	var p playing
	if err := json.NewDecoder(os.Stdin).Decode(&p); err != nil {
		panic(err)
	}
	lock, err := Acquire(context.Background(), p.Dir+"/guardian.lock", 5*time.Second)
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	events := make(chan agent.Event, 10_000)
	r, err := Start(Config{
		Node: "n1", NodeID: p.NodeID, DataDir: p.Dir, Lock: lock, Listener: listener.(*net.TCPListener),
		Allow: Allow{"/**"}, Isolation: p.Isolation,
	}, func(e agent.Event) { events <- e })
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr(), r.guardian.pid)
	deadlines, err := os.Create(p.Dir + "/deadline")
	if err != nil {
		panic(err)
	}
	session := sup.Session{Gen: 1, Seq: 1}
	renew := func() {
		deadline := now() + int64(p.TTL)
		fmt.Fprintln(deadlines, deadline)
		r.Lease(agent.Lease{Session: session, Deadline: deadline, Fence: int64(p.Fence)})
	}
	renew()
	for i, program := range p.Programs {
		r.Spawn(spawnOf(session, fmt.Sprintf("c%d", i), uint64(i+1), program))
	}
	again := time.Tick(p.Renew)
	for {
		select {
		case <-again:
			renew()
		case e := <-events:
			fmt.Printf("%T %+v\n", e, e)
		}
	}
}

func spawnOf(s sup.Session, child string, index uint64, p Program) agent.Spawn {
	args, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return agent.Spawn{Spawn: rpc.Spawn{
		Session: s, Key: sup.Key{Supervisor: "pool", Child: sup.ChildID(child)}, Inc: sup.Incarnation{Gen: 1, Index: index},
		Behavior: "exec", Args: []json.RawMessage{args}, InitTimeout: int64(30 * time.Second), ShutdownTimeout: int64(5 * time.Second),
	}}
}

func alive(pid int) bool {
	s, there := readStat(pid)
	return there && s.state != 'Z' && s.state != 'X'
}
