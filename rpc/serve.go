package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// serveCalls answers the requests of one connection until it ends, then waits for its handlers.
func (p *Port) serveCalls(c *conn, from sup.NodeName) {
	s := &callServer{port: p, from: from, f: newFramed(c), running: map[uint64]context.CancelFunc{}}
	ctx, cancel := context.WithCancel(p.ctx)
	defer s.tasks.Wait()
	defer cancel()
	defer s.f.close()
	for {
		var m callFrame
		if err := s.f.read(&m); err != nil {
			return
		}
		switch {
		case m.Request != nil:
			if err := s.begin(ctx, m.ID, m.Request); err != nil {
				p.junk.log(p.log, "closed a call connection", "node", from, "error", err)
				return
			}
		case m.Cancel:
			s.mu.Lock()
			stop := s.running[m.ID]
			s.mu.Unlock()
			if stop != nil {
				stop()
			}
		default:
			p.junk.log(p.log, "closed a call connection", "node", from, "error", "a frame that is neither a request nor a cancellation")
			return
		}
	}
}

// callServer is the answering end of one call connection.
type callServer struct {
	port  *Port
	from  sup.NodeName
	f     *framed
	tasks sync.WaitGroup

	mu      sync.Mutex // guards running
	running map[uint64]context.CancelFunc
}

// begin starts the handler of a request. It fails only when the peer breaks the protocol or the connection is broken.
func (s *callServer) begin(ctx context.Context, id uint64, req *request) error {
	p := s.port
	p.mu.Lock()
	h := p.methods[req.Method]
	p.mu.Unlock()
	if h == nil {
		return s.respond(id, failure(fmt.Errorf("method %q is not served by node %s (supnode %s)", req.Method, p.cfg.Node, p.cfg.Version)))
	}
	select {
	case p.handlers <- struct{}{}:
	default:
		return s.respond(id, &response{Problem: busy(p.cfg.Node, "requests of other nodes", MaxHandlers)})
	}
	hctx, cancel := context.WithTimeout(ctx, time.Duration(req.Left))
	s.mu.Lock()
	_, twice := s.running[id]
	if !twice {
		s.running[id] = cancel
	}
	s.mu.Unlock()
	if twice {
		cancel()
		<-p.handlers
		return fmt.Errorf("two requests with id %d", id)
	}
	body := []byte(req.Body)
	s.tasks.Go(func() {
		r := s.handle(hctx, h, body)
		s.mu.Lock()
		delete(s.running, id)
		s.mu.Unlock()
		cancel()
		<-p.handlers
		_ = s.respond(id, r) // a broken connection: the caller knows that the outcome is unknown
	})
	return nil
}

func (s *callServer) handle(ctx context.Context, h Handler, body []byte) *response {
	v, err := h(ctx, s.from, body)
	if err != nil {
		return failure(err)
	}
	b, err := Encode(v)
	if err != nil {
		return failure(fmt.Errorf("%w: the answer cannot be encoded: %w", ErrOutcomeUnknown, err))
	}
	return &response{Body: b}
}

// failure is an error as it crosses the wire.
func failure(err error) *response {
	var problem *sup.Problem
	var notLeader *NotLeader
	switch {
	case errors.As(err, &problem):
		valid := *problem
		valid.Detail, valid.Reason = validText(valid.Detail), validText(valid.Reason)
		return &response{Problem: &valid}
	case errors.As(err, &notLeader):
		return &response{NotLeader: &redirect{Leader: notLeader.Leader, Addr: notLeader.Addr}}
	case errors.Is(err, ErrOutcomeUnknown), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &response{Unknown: true, Text: validText(err.Error())}
	}
	return &response{Failed: true, Text: validText(err.Error())}
}

func (s *callServer) respond(id uint64, r *response) error {
	frame, err := encodeFrame(callFrame{ID: id, Response: r}, s.f.limit)
	if errors.Is(err, ErrFrameTooLarge) {
		// The request was carried out; only its answer cannot travel.
		frame, err = encodeFrame(callFrame{ID: id, Response: failure(fmt.Errorf("%w: the answer: %w", ErrOutcomeUnknown, err))}, s.f.limit)
	}
	if err != nil {
		return err
	}
	_, err = s.f.write(frame, nil)
	return err
}
