package machine

import (
	"fmt"
	"net"
	"os"
	"sync"
)

// The ports that tests are given lie below those that the kernel gives to outgoing connections (ip_local_port_range: from
// 32768), so nothing takes one while a node that listens on it is down. They come in blocks. A process owns a block while
// it listens on the block's first port, until it ends: what runs side by side never meets, whatever TMPDIR it has.
const (
	firstPort = 16_000
	blocks    = 80
	blockSize = 100
	// adminOffset is how far `supnode dev` puts a node's admin port behind its RPC port: a block has as many ports there.
	adminOffset = 1000
)

var ports struct {
	sync.Mutex
	last, end int            // the last port that was given, and the end of its block
	owned     []net.Listener // on the first ports of this process's blocks
}

// Base is a base port for `supnode dev` with n nodes: nobody listens on base+1 … base+n, nor on those a thousand higher,
// and no other call of this or another process is given one of them. It panics when the machine has no more ports.
func Base(n int) int {
	ports.Lock()
	defer ports.Unlock()
	for {
		if ports.last+n >= ports.end {
			own()
		}
		base := ports.last
		taken := 0
		for port := base + 1; port <= base+n; port++ {
			if !free(port) || !free(port+adminOffset) {
				taken = port
			}
		}
		if taken == 0 {
			ports.last += n
			return base
		}
		ports.last = taken
	}
}

// Addrs are n loopback addresses on which nobody listens. No other call of this or another process is given one of them.
func Addrs(n int) []string {
	base, addrs := Base(n), make([]string, n)
	for i := range addrs {
		addrs[i] = addr(base + 1 + i)
	}
	return addrs
}

// Addr is one of Addrs.
func Addr() string { return Addrs(1)[0] }

// own takes a block that no process owns; it begins behind those of the processes before, whose remains may still speak.
func own() {
	for i := range blocks {
		k := (os.Getpid() + i) % blocks
		perStretch := adminOffset / blockSize
		first := firstPort + k/perStretch*2*adminOffset + k%perStretch*blockSize
		if l, err := net.Listen("tcp", addr(first)); err == nil {
			ports.owned = append(ports.owned, l)
			ports.last, ports.end = first, first+blockSize
			return
		}
	}
	panic("every block of ports for tests is owned by a process")
}

func free(port int) bool {
	l, err := net.Listen("tcp", addr(port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
