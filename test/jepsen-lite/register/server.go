package register

import (
	"bufio"
	"fmt"
	"net"
	"sync"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// MaxWrites bounds the log of a Server; it stops accepting anything beyond.
const MaxWrites = 1 << 20

// Server is a fenced register on a loopback port.
type Server struct {
	listener net.Listener
	served   sync.WaitGroup

	mu      sync.Mutex // guards all below
	highest map[history.Key]uint64
	log     []history.Write
	held    string        // the node whose writes are held; empty = none
	release chan struct{} // closed when they may go on
	waiting int
	conns   map[net.Conn]bool
	closed  bool
}

// Listen starts a register on a free loopback port.
func Listen() (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, highest: make(map[history.Key]uint64), conns: make(map[net.Conn]bool)}
	s.served.Go(s.accept)
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends it and waits for all of it.
func (s *Server) Close() error {
	s.Release()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.served.Wait()
	return err
}

// Hold keeps every write of a node's children on its way from now on, until Release.
func (s *Server) Hold(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == "" {
		s.held, s.release = node, make(chan struct{})
	}
}

// Release lets the held writes arrive.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != "" {
		s.held = ""
		close(s.release)
	}
}

// Waiting is how many writes are held.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// Writes is what arrived so far, in the order it was decided.
func (s *Server) Writes() []history.Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log[:len(s.log):len(s.log)]
}

// Refusals is how many writes were refused.
func (s *Server) Refusals() int {
	n := 0
	for _, w := range s.Writes() {
		if !w.Accepted {
			n++
		}
	}
	return n
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			c.Close()
		} else {
			s.conns[c] = true
			s.served.Go(func() { s.serve(c) })
		}
		s.mu.Unlock()
	}
}

func (s *Server) serve(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	for lines := bufio.NewScanner(c); lines.Scan(); {
		var w history.Write
		if _, err := fmt.Sscan(lines.Text(), &w.Key.Supervisor, &w.Key.Child, &w.Node, &w.Incarnation); err != nil {
			return
		}
		w.Late = s.wait(w.Node)
		answer := "refused\n"
		if s.decide(w) {
			answer = "ok\n"
		}
		// The writer may be gone; its write counts all the same. What else it sent before it died is still read.
		fmt.Fprint(c, answer)
	}
}

// wait holds a write while its node's are held, and reports whether it was.
func (s *Server) wait(node string) bool {
	s.mu.Lock()
	if s.held == "" || s.held != node || s.closed {
		s.mu.Unlock()
		return false
	}
	release := s.release
	s.waiting++
	s.mu.Unlock()
	<-release
	s.mu.Lock()
	s.waiting--
	s.mu.Unlock()
	return true
}

// decide is the fence itself.
func (s *Server) decide(w history.Write) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) >= MaxWrites {
		return false
	}
	w.At = history.Now()
	if w.Accepted = w.Incarnation >= s.highest[w.Key]; w.Accepted {
		s.highest[w.Key] = w.Incarnation
	}
	s.log = append(s.log, w)
	return w.Accepted
}
