package proxy

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/proc"
)

// Anyone is the name of whoever dials the address that a node announces.
const Anyone = "*"

// Net is the links between all pairs of nodes, and one from Anyone to each. Its methods are for one goroutine.
type Net struct {
	names   []string
	targets map[string]string
	links   map[[2]string]*link
}

// New makes a link for each ordered pair of the nodes, given by name and by the address that each really listens on, and a
// link from Anyone to each. Who comes on the latter is not known, so any cut at all holds what passes there.
func New(nodes map[string]string) (*Net, error) {
	n := &Net{names: slices.Sorted(maps.Keys(nodes)), targets: maps.Clone(nodes), links: make(map[[2]string]*link)}
	for _, to := range n.names {
		for _, from := range append([]string{Anyone}, n.others(to)...) {
			l, err := newLink(from, to, nodes[to])
			if err != nil {
				n.Close()
				return nil, err
			}
			n.links[[2]string{from, to}] = l
		}
	}
	return n, nil
}

// Close ends all links and waits for all of it.
func (n *Net) Close() {
	for _, l := range n.links {
		l.close()
	}
}

// Addr is where from is to find to.
func (n *Net) Addr(from, to string) string { return n.link(from, to).addr }

// Ports are those that the links listen on.
func (n *Net) Ports() []int {
	var out []int
	for _, l := range n.links {
		out = append(out, portOf(l.addr))
	}
	return out
}

// Made is how many connections from made to to.
func (n *Net) Made(from, to string) int {
	l := n.link(from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made
}

// Cut holds everything that from sends to to: its own connections' bytes and its answers on to's. What was held arrives
// after Join.
func (n *Net) Cut(from, to string) {
	n.direction(from, to, func(g *gate) { g.held = true })
}

// Isolate cuts a node off from all others, both ways.
func (n *Net) Isolate(node string) {
	n.Mute(node)
	n.Deafen(node)
}

// Mute holds what a node sends; it still hears the others.
func (n *Net) Mute(node string) {
	for _, other := range n.others(node) {
		n.Cut(node, other)
	}
}

// Deafen holds what the others send to a node; they still hear it.
func (n *Net) Deafen(node string) {
	for _, other := range n.others(node) {
		n.Cut(other, node)
	}
}

// Delay makes what from sends to to arrive d later.
func (n *Net) Delay(from, to string, d time.Duration) {
	n.direction(from, to, func(g *gate) { g.delay = d })
}

// Set changes what happens to from's connections to to.
func (n *Net) Set(from, to string, m Mode) error { return n.link(from, to).set(m) }

// Join lets every link pass again, at once, and what was held with it.
func (n *Net) Join() error {
	for _, l := range n.links {
		if err := l.set(Pass); err != nil {
			return err
		}
		for _, g := range []*gate{l.there, l.back} {
			g.set(func() { g.held, g.delay = false, 0 })
		}
	}
	return nil
}

// Around lists the connections to a node's real address that come neither from here nor from the node itself: someone knows
// a way around. pid tells a node's process, 0 = none now. It is a look at one moment; only what is seen twice counts, since
// a connection may end between two files of /proc. Each look asks for the processes anew, after it has read the connections:
// a node that was restarted meanwhile is the new one. A connection that no process holds is one of a process that ends.
func (n *Net) Around(pid func(node string) int) ([]string, error) {
	first, err := n.foreign(pid)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	second, err := n.foreign(pid)
	if err != nil || len(second) == 0 {
		return nil, err
	}
	running, err := proc.All()
	var out []string
	for _, p := range running {
		held, _ := proc.SocketsOf(p.PID) // none of a process that is gone
		for inode := range held {
			if text, again := second[inode]; again && first[inode] != "" {
				out = append(out, fmt.Sprintf("%s, of %s", text, p))
			}
		}
	}
	slices.Sort(out)
	return out, err
}

func (n *Net) foreign(pid func(node string) int) (map[uint64]string, error) {
	sockets, err := proc.Sockets()
	if err != nil {
		return nil, err
	}
	mine, err := proc.SocketsOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	out := make(map[uint64]string)
	for _, name := range n.names {
		port := portOf(n.targets[name])
		own, _ := proc.SocketsOf(pid(name)) // none of a process that is gone
		for _, s := range sockets {
			if s.RemotePort == port && s.State == proc.Established && s.Inode != 0 && !mine[s.Inode] && !own[s.Inode] {
				out[s.Inode] = fmt.Sprintf("a connection from port %d to %s's own port %d", s.LocalPort, name, port)
			}
		}
	}
	return out, nil
}

func (n *Net) direction(from, to string, change func(*gate)) {
	gates := []*gate{n.link(from, to).there, n.link(to, from).back}
	for _, name := range n.names {
		l := n.link(Anyone, name)
		gates = append(gates, l.there, l.back)
	}
	for _, g := range gates {
		g.set(func() { change(g) })
	}
}

func (n *Net) link(from, to string) *link {
	l := n.links[[2]string{from, to}]
	if l == nil {
		panic(fmt.Sprintf("there is no link from %q to %q", from, to))
	}
	return l
}

func (n *Net) others(node string) []string {
	return slices.DeleteFunc(slices.Clone(n.names), func(o string) bool { return o == node })
}

func portOf(addr string) int {
	_, text, _ := net.SplitHostPort(addr)
	p, err := strconv.Atoi(text)
	if err != nil {
		panic(fmt.Sprintf("%q has no port", addr))
	}
	return p
}
