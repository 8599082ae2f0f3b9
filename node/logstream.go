package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/supnode/supnode/node/agent/guardian"
	sup "github.com/supnode/supnode/supervisor"
)

// logPause is the pause after a look that found nothing and did not wait.
const logPause = 250 * time.Millisecond

// logSource is where a log stream gets what it shows.
type logSource interface {
	child(ctx context.Context, k sup.Key, stale bool) (logRecord, error)
	read(ctx context.Context, at sup.NodeName, q guardian.LogRead) (guardian.LogPage, error)
}

// logRecord is what a log stream needs to know of a child.
type logRecord struct {
	behavior string
	status   sup.Status
	node     sup.NodeName    // empty = it has no place now
	last     sup.NodeName    // where its init returned last; empty = nowhere yet
	inc      sup.Incarnation // on node
	exit     string          // how the last incarnation ended
}

// logStream reads a child's log where the child runs, or ran last. It holds no more than a page: a slow reader only delays itself.
type logStream struct {
	from   logSource
	key    sup.Key
	q      LogQuery
	notes  []string
	held   *LogPiece // to come after the notes
	drain  bool      // the child has gone elsewhere, or is no more: what is left here is read first
	gone   bool      // its record is no more
	pause  bool      // before the next look
	lost   bool      // the node is not reached
	gaps   bool      // it has been told that output is missing, and the reader has not caught up since
	ended  bool      // its end has been told
	next   logRecord
	place  logPlace
	begins bool // read from where place.Inc begins, not the last lines
}

func newLogStream(from logSource, k sup.Key, q LogQuery, rec logRecord) (*logStream, error) {
	s := &logStream{from: from, key: k, q: q}
	if q.After != "" {
		place, err := parseLogPlace(q.After)
		if err != nil {
			return nil, err
		}
		s.place, s.begins = place, place.Cursor == nil
		return s, nil
	}
	s.place = logPlace{Node: q.Node, Inc: rec.inc}
	if s.place.Node == "" {
		s.place.Node = rec.where()
	}
	s.ended = rec.node == ""
	return s, nil
}

// lastExit is the end of a note.
func (r logRecord) lastExit() string {
	if r.exit == "" {
		return ""
	}
	return "; its last exit was " + r.exit
}

// where is the node whose log is read.
func (r logRecord) where() sup.NodeName {
	if r.node != "" {
		return r.node
	}
	return r.last
}

// Next implements LogReader.
func (s *logStream) Next(ctx context.Context) (LogPiece, error) {
	for {
		if err := s.rest(ctx); err != nil {
			return LogPiece{}, err
		}
		if len(s.notes) > 0 {
			note := s.notes[0]
			s.notes = s.notes[1:]
			return LogPiece{Note: note}, nil
		}
		if s.held != nil {
			piece := *s.held
			s.held = nil
			return piece, nil
		}
		if s.place.Node == "" { // it has not run yet
			if !s.q.Follow || s.gone {
				return LogPiece{}, io.EOF
			}
			s.look(ctx)
			s.pause = s.place.Node == ""
			if s.pause && len(s.notes) == 0 {
				return s.piece(LogPiece{}), nil
			}
			continue
		}
		page, err := s.read(ctx)
		switch {
		case ctx.Err() != nil:
			return LogPiece{}, ctx.Err()
		case err != nil && !s.q.Follow:
			return LogPiece{}, err
		case err != nil:
			s.unreachable(ctx, err)
			if len(s.notes) == 0 {
				return s.piece(LogPiece{}), nil
			}
			continue
		}
		if s.take(ctx, page); s.held != nil || page.More || len(s.notes) > 0 {
			continue
		}
		if !s.q.Follow {
			return LogPiece{}, io.EOF
		}
		if s.drain {
			if s.gone {
				return LogPiece{}, io.EOF
			}
			s.move()
			continue
		}
		if s.look(ctx); len(s.notes) == 0 && !s.drain {
			return s.piece(LogPiece{}), nil
		}
	}
}

// rest pauses, when that is due.
func (s *logStream) rest(ctx context.Context) error {
	if !s.pause {
		return ctx.Err()
	}
	s.pause = false
	t := time.NewTimer(logPause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	return ctx.Err()
}

func (s *logStream) piece(p LogPiece) LogPiece {
	if s.place.Node != "" {
		p.After = s.place.String()
	}
	return p
}

func (s *logStream) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *logStream) read(ctx context.Context) (guardian.LogPage, error) {
	q := guardian.LogRead{Key: s.key, From: s.place.Cursor, Lines: s.q.Lines}
	if s.begins && q.From == nil {
		inc := s.place.Inc
		q.Begin = &inc
	}
	if s.q.Follow && !s.drain {
		q.Wait = logWait
	}
	began := time.Now()
	p, err := s.from.read(ctx, s.place.Node, q)
	// A node that has too many who wait does not let one wait.
	s.pause = s.q.Follow && !s.drain && err == nil && len(p.Data) == 0 && !p.Lost && time.Since(began) < logPause
	return p, err
}

// take takes what was read.
func (s *logStream) take(ctx context.Context, p guardian.LogPage) {
	if s.lost {
		s.lost = false
		s.note("node %s answers again", s.place.Node)
	}
	if p.Lost && !s.gaps { // where output is rotated away faster than it is read, every page has a gap before it
		s.note("some output of %s is missing here, and more may be until it is caught up with: its log on node %s was rotated away, or removed, "+
			"before it was read", s.key, s.place.Node)
	}
	s.gaps = p.More && (s.gaps || p.Lost)
	if p.Next != nil {
		s.place.Cursor = p.Next
	}
	if len(p.Data) > 0 {
		s.began(ctx, p.Incarnation)
		piece := s.piece(LogPiece{Data: p.Data, Node: s.place.Node, Incarnation: s.place.Inc.Token()})
		s.held = &piece
	}
}

// began tells that what is read now is the output of another incarnation.
func (s *logStream) began(ctx context.Context, inc sup.Incarnation) {
	if !s.place.Inc.Less(inc) {
		return
	}
	known := s.place.Inc
	if s.place.Inc, s.ended = inc, false; known.IsZero() || !s.q.Follow {
		return
	}
	exit := ""
	if rec, err := s.from.child(ctx, s.key, true); err == nil && rec.inc == inc {
		exit = rec.lastExit()
	}
	s.note("%s was started again on node %s, incarnation %d%s", s.key, s.place.Node, inc.Token(), exit)
}

// unreachable is what to do while the node does not answer: its child will run elsewhere soon.
func (s *logStream) unreachable(ctx context.Context, err error) {
	if !s.lost {
		s.lost = true
		s.note("%s; waiting for it, or for the child to run elsewhere", reason(err))
	}
	s.pause = true
	s.look(ctx)
	switch {
	case s.gone:
		s.place.Node = ""
	case s.drain:
		s.note("what was written there last may be missing here")
		s.move()
	}
}

func reason(err error) string {
	var p *sup.Problem
	if errors.As(err, &p) && p.Detail != "" {
		return p.Detail
	}
	return err.Error()
}

// look sees what has become of the child. What cannot be learned now is learned later.
func (s *logStream) look(ctx context.Context) {
	rec, err := s.from.child(ctx, s.key, true)
	var p *sup.Problem
	switch {
	case errors.As(err, &p) && (p.Code == sup.CodeChildNotFound || p.Code == sup.CodeSupervisorNotFound):
		if rec, err = s.from.child(ctx, s.key, false); errors.As(err, &p) && (p.Code == sup.CodeChildNotFound || p.Code == sup.CodeSupervisorNotFound) {
			s.note("%s is no more: it was terminated, or its supervisor stopped", s.key)
			s.drain, s.gone = true, true
			return
		}
	}
	if err != nil {
		return
	}
	s.notice(rec)
}

// notice compares a child's record with what was known.
func (s *logStream) notice(rec logRecord) {
	if rec.node == "" {
		if !s.ended {
			s.ended = true
			s.note("%s does not run, it is %s%s", s.key, rec.status, rec.lastExit())
		}
		return
	}
	switch {
	case s.place.Node == "":
		s.next = rec
		s.move()
	case rec.node == s.place.Node && s.place.Inc.Less(rec.inc):
		s.note("%s was started again on node %s, incarnation %d%s", s.key, rec.node, rec.inc.Token(), rec.lastExit())
		s.place.Inc, s.ended = rec.inc, false
	case rec.node != s.place.Node && s.q.Node == "" && s.place.Inc.Less(rec.inc):
		s.next, s.drain = rec, true
	}
}

// move goes on where the child runs now.
func (s *logStream) move() {
	if s.place.Node != "" {
		s.note("%s moved from node %s to node %s, incarnation %d%s", s.key, s.place.Node, s.next.node, s.next.inc.Token(), s.next.lastExit())
	}
	s.place = logPlace{Node: s.next.node, Inc: s.next.inc}
	s.begins, s.drain, s.lost, s.ended = true, false, false, false
}
