package proc

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The TCP states of /proc/net/tcp that matter here.
const (
	Established = 0x01
	Listen      = 0x0A
)

// Socket is one end of a TCP connection, or a listener.
type Socket struct {
	LocalPort, RemotePort int
	State                 int
	Inode                 uint64 // 0: no process has it any more
}

// Sockets lists the TCP sockets of this network namespace.
func Sockets() ([]Socket, error) {
	var out []Socket
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		lines.Scan() // the heading
		for lines.Scan() {
			s, err := socket(strings.Fields(lines.Text()))
			if err != nil {
				f.Close()
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			out = append(out, s)
		}
		f.Close()
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func socket(f []string) (s Socket, err error) {
	if len(f) < 10 {
		return s, fmt.Errorf("not a socket: %q", f)
	}
	if s.LocalPort, err = port(f[1]); err != nil {
		return s, err
	}
	if s.RemotePort, err = port(f[2]); err != nil {
		return s, err
	}
	state, err := strconv.ParseUint(f[3], 16, 8)
	if err != nil {
		return s, err
	}
	s.State = int(state)
	s.Inode, err = strconv.ParseUint(f[9], 10, 64)
	return s, err
}

func port(addr string) (int, error) {
	_, hex, _ := strings.Cut(addr, ":")
	p, err := strconv.ParseUint(hex, 16, 16)
	return int(p), err
}

// Listening lists those of the ports that someone listens on.
func Listening(ports ...int) ([]int, error) {
	all, err := Sockets()
	if err != nil {
		return nil, err
	}
	open := make(map[int]bool)
	for _, s := range all {
		if s.State == Listen {
			open[s.LocalPort] = true
		}
	}
	var out []int
	for _, p := range ports {
		if open[p] {
			out = append(out, p)
		}
	}
	return out, nil
}

// SocketsOf is the set of socket inodes that a process has open.
func SocketsOf(pid int) (map[uint64]bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := make(map[uint64]bool)
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if text, ok := strings.CutPrefix(target, "socket:["); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64); err == nil {
				out[n] = true
			}
		}
	}
	return out, nil
}
