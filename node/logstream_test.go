package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/supnode/supnode/node/agent/guardian"
	sup "github.com/supnode/supnode/supervisor"
)

// A played source of logs: on each node a text, in which an incarnation begins at some places.
type playedLogs struct {
	rec   logRecord
	gone  bool
	down  map[sup.NodeName]bool
	texts map[sup.NodeName]string
	begin map[sup.NodeName][]placeOf
	lost  bool // the next page says so
}

type placeOf struct {
	inc sup.Incarnation
	at  int
}

func (l *playedLogs) write(n sup.NodeName, inc uint64, text string) {
	of := l.begin[n]
	if len(of) == 0 || of[len(of)-1].inc.Index != inc {
		l.begin[n] = append(of, placeOf{sup.Incarnation{Index: inc}, len(l.texts[n])})
	}
	l.texts[n] += text
}

func (l *playedLogs) runs(n sup.NodeName, inc uint64) {
	l.rec = logRecord{status: sup.StatusRunning, node: n, last: n, inc: sup.Incarnation{Index: inc}, exit: l.rec.exit}
}

func (l *playedLogs) child(context.Context, sup.Key, bool) (logRecord, error) {
	if l.gone {
		return logRecord{}, &sup.Problem{Code: sup.CodeChildNotFound}
	}
	return l.rec, nil
}

func (l *playedLogs) read(_ context.Context, n sup.NodeName, q guardian.LogRead) (p guardian.LogPage, err error) {
	if l.down[n] {
		return p, &sup.Problem{Code: sup.CodeNodeUnreachable, Node: n, Detail: fmt.Sprintf("node %s does not answer", n)}
	}
	text, from := l.texts[n], 0
	switch {
	case q.From != nil:
		from = int(q.From.Offset)
	case q.Begin != nil:
		from = -1
		for _, b := range l.begin[n] {
			if from < 0 && !b.inc.Less(*q.Begin) {
				from = b.at
			}
		}
		if from < 0 {
			return p, nil
		}
	default:
		lines := strings.SplitAfter(text, "\n")
		from = len(strings.Join(lines[:max(0, len(lines)-1-q.Lines)], ""))
	}
	end := min(len(text), from+40)
	for _, b := range l.begin[n] {
		if b.at <= from {
			p.Incarnation = b.inc
		} else {
			end = min(end, b.at)
		}
	}
	p.Data, p.More, p.Next = []byte(text[from:end]), end < len(text), &guardian.LogCursor{Offset: int64(end)}
	p.Lost, l.lost = l.lost, false
	return p, nil
}

// told is a stream as a terminal shows it: output, and notes in brackets.
type told struct {
	t      *testing.T
	stream *logStream
	text   strings.Builder
	after  string
	err    error
}

func (o *told) step() (piece LogPiece) {
	if o.err != nil {
		return
	}
	piece, o.err = o.stream.Next(o.t.Context())
	o.text.Write(piece.Data)
	if piece.Note != "" {
		fmt.Fprintf(&o.text, "[%s]\n", piece.Note)
	}
	if piece.After != "" {
		o.after = piece.After
	}
	return piece
}

// rest steps until three signs of life in a row, or the end.
func (o *told) rest() string {
	for quiet := 0; quiet < 3 && o.err == nil; quiet++ {
		if p := o.step(); len(p.Data) > 0 || p.Note != "" {
			quiet = -1
		}
	}
	text := o.text.String()
	o.text.Reset()
	return text
}

func TestFollowingALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := sup.Key{Supervisor: "pool", Child: "w1"}
		l := &playedLogs{down: map[sup.NodeName]bool{}, texts: map[sup.NodeName]string{}, begin: map[sup.NodeName][]placeOf{}}
		l.write("n1", 3, "old\nolder\n")
		l.write("n1", 5, "a\nb\n")
		l.runs("n1", 5)
		open := func(q LogQuery) *told {
			s, err := newLogStream(l, key, q, l.rec)
			if err != nil {
				t.Fatal(err)
			}
			return &told{t: t, stream: s}
		}
		want := func(got, want string) {
			t.Helper()
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		}
		once := open(LogQuery{Lines: 100})
		want(once.rest(), "old\nolder\na\nb\n")
		if once.err != io.EOF {
			t.Errorf("the end: %v", once.err)
		}

		f := open(LogQuery{Lines: 1, Follow: true})
		want(f.rest(), "b\n")
		l.write("n1", 5, "c\n")
		want(f.rest(), "c\n")

		// A restart in place, told where it happened.
		l.write("n1", 5, "last words\n")
		l.rec.exit = "error (exit status 3)"
		l.runs("n1", 7)
		l.write("n1", 7, "first words\n")
		want(f.rest(), "last words\n[pool/w1 was started again on node n1, incarnation 7; its last exit was error (exit status 3)]\nfirst words\n")
		l.runs("n1", 8) // which says nothing
		want(f.rest(), "[pool/w1 was started again on node n1, incarnation 8; its last exit was error (exit status 3)]\n")

		// A move: what is left on the old node comes first, the new one's from its beginning, and of what the new node has only that.
		l.write("n2", 2, "of long ago\n")
		l.write("n1", 8, strings.Repeat("x", 100)+"\n")
		l.runs("n2", 9)
		want(f.rest(), strings.Repeat("x", 100)+"\n[pool/w1 moved from node n1 to node n2, incarnation 9; its last exit was error (exit status 3)]\n")
		l.write("n2", 9, "hello\n")
		want(f.rest(), "hello\n")

		const gap = "[some output of pool/w1 is missing here, and more may be until it is caught up with: its log on node n2 was rotated away, or removed, before it was read]\n"
		l.lost = true
		want(f.rest(), gap)
		// One that is written faster than it is read has a gap in every page: it is told once, and again when it was caught up with.
		long := strings.Repeat("0123456789\n", 8)
		for range 2 {
			l.write("n2", 9, long)
			l.lost = true
			f.step()
			l.lost = true
			want(f.rest(), gap+long)
		}

		// A node that is lost, and one that comes back.
		l.down["n2"] = true
		want(f.rest(), "[node n2 does not answer; waiting for it, or for the child to run elsewhere]\n")
		l.down["n2"] = false
		want(f.rest(), "[node n2 answers again]\n")
		l.down["n2"] = true
		l.rec = logRecord{status: sup.StatusPending, last: "n2", exit: "node_down"}
		want(f.rest(), "[node n2 does not answer; waiting for it, or for the child to run elsewhere]\n[pool/w1 does not run, it is pending; its last exit was node_down]\n")
		l.runs("n3", 11)
		l.write("n3", 11, "here\n")
		want(f.rest(), "[what was written there last may be missing here]\n[pool/w1 moved from node n2 to node n3, incarnation 11; its last exit was node_down]\nhere\n")

		// On from where another stream was.
		l.write("n3", 11, "there\n")
		g := open(LogQuery{After: f.after, Follow: true})
		want(g.rest(), "there\n")
		want(f.rest(), "there\n")
		pinned := open(LogQuery{Node: "n1", Lines: 1, Follow: true})
		want(pinned.rest(), strings.Repeat("x", 100)+"\n")

		l.write("n3", 11, "bye\n")
		l.gone = true
		want(f.rest(), "bye\n[pool/w1 is no more: it was terminated, or its supervisor stopped]\n")
		if f.err != io.EOF {
			t.Errorf("the end: %v", f.err)
		}

		// One that has not run yet.
		l.gone, l.rec = false, logRecord{status: sup.StatusPending}
		if e := open(LogQuery{Lines: 9}); e.rest() != "" || e.err != io.EOF {
			t.Errorf("%v", e.err)
		}
		h := open(LogQuery{Lines: 9, Follow: true})
		want(h.rest(), "")
		l.runs("n3", 13)
		l.write("n3", 13, "at last\n")
		want(h.rest(), "at last\n")

		l.down["n3"] = true
		i := open(LogQuery{Lines: 9})
		var p *sup.Problem
		if i.rest(); !errors.As(i.err, &p) || p.Code != sup.CodeNodeUnreachable {
			t.Errorf("a node that does not answer: %v", i.err)
		}
		if _, err := newLogStream(l, key, LogQuery{After: "x"}, l.rec); !errors.As(err, &p) || p.Code != sup.CodeInvalidSpec {
			t.Errorf("no place: %v", err)
		}
	})
}
