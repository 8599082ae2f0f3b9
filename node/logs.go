package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// methodLogs reads a part of a child's log at the node where it lies: guardian.LogRead → guardian.LogPage.
const methodLogs = "logs"

const (
	// logWait is how long a node waits for output before it answers that there is none.
	logWait = time.Second
	// logPatience bounds one read at another node.
	logPatience = 5 * time.Second
)

// LogQuery asks for a child's output.
type LogQuery struct {
	Supervisor sup.Name
	Child      sup.ChildID
	Node       sup.NodeName // read there, and stay there; empty = where the child runs or ran last
	Lines      int          // begin that many lines before the end; at most guardian.MaxLogLines
	After      string       // begin where a LogPiece said that one would go on, in place of Lines
	Follow     bool         // go on with what is written, wherever the child runs
}

// LogPiece is a piece of a child's log: output; or a note for a person, of what happened to the child; or a sign of life.
type LogPiece struct {
	Data        []byte
	Note        string
	Node        sup.NodeName // where Data was read
	Incarnation uint64       // that ran there
	// After is where to go on behind this piece; empty = where the former one said.
	After string
}

// LogReader reads a log piece by piece.
type LogReader interface {
	// Next waits for a piece; a sign of life comes at least every few seconds. io.EOF is the end.
	Next(ctx context.Context) (LogPiece, error)
}

// Logs reads the log of a command, wherever it lies. Errors, of Next too, are *supervisor.Problem, or ctx's.
func (n *Node) Logs(ctx context.Context, q LogQuery) (LogReader, error) {
	key := sup.Key{Supervisor: q.Supervisor, Child: q.Child}
	rec, err := logsOf{n}.child(ctx, key, false)
	if err != nil {
		return nil, err
	}
	if rec.behavior != sup.ExecBehavior {
		what := fmt.Sprintf("has the behavior %q", rec.behavior)
		if rec.behavior == "" {
			what = "is a supervisor"
		}
		return nil, &sup.Problem{Code: sup.CodeInvalidSpec, Child: q.Child, Detail: fmt.Sprintf("child %s %s: only commands (exec) have a log", key, what)}
	}
	if q.Node != "" {
		if _, err := n.addrOfMember(ctx, q.Node); err != nil {
			return nil, err
		}
	}
	return newLogStream(logsOf{n}, key, q, rec)
}

// logsOf is where a log stream gets what it shows.
type logsOf struct{ n *Node }

// child looks at a child's record; stale: as this node knows it.
func (l logsOf) child(ctx context.Context, k sup.Key, stale bool) (logRecord, error) {
	a, err := l.n.Read(ctx, Query{Kind: QueryChild, Supervisor: k.Supervisor, Child: k.Child, Stale: stale})
	if err != nil {
		return logRecord{}, err
	}
	r := logRecord{behavior: a.Child.Behavior, status: a.Child.Status, node: a.Child.Node, last: a.LastNode, inc: sup.IncarnationOf(a.Child.Incarnation)}
	if e := a.Child.LastExit; e != nil {
		r.exit = string(e.Reason)
		if e.Detail != "" {
			r.exit += " (" + e.Detail + ")"
		}
	}
	return r, nil
}

// read reads a part of a log at a node.
func (l logsOf) read(ctx context.Context, at sup.NodeName, q guardian.LogRead) (p guardian.LogPage, err error) {
	if at == l.n.cfg.Name {
		return l.n.logs.Read(ctx, q)
	}
	addr, err := l.n.addrOfMember(ctx, at)
	if err != nil {
		return p, err
	}
	ctx, cancel := context.WithTimeout(ctx, logPatience)
	defer cancel()
	err = l.n.port.Call(ctx, addr, at, methodLogs, q, &p)
	var problem *sup.Problem
	if err != nil && !errors.As(err, &problem) {
		why := err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			why = "nothing came within " + logPatience.String()
		}
		err = &sup.Problem{Code: sup.CodeNodeUnreachable, Node: at, Detail: fmt.Sprintf("the log of %s lies on node %s, which does not answer: %s", q.Key, at, why)}
	}
	return p, err
}

// addrOfMember is where a node is reached.
func (n *Node) addrOfMember(ctx context.Context, name sup.NodeName) (addr string, err error) {
	if n.fsm != nil {
		n.fsm.View(func(s *fsm.State) {
			if m := s.Node(name); m != nil {
				addr = m.Addr
			}
		})
	}
	if addr != "" {
		return addr, nil
	}
	a, err := n.Read(ctx, Query{Kind: QueryNode, Node: name})
	if err != nil {
		return "", err
	}
	return a.Node.Addr, nil
}

// serveLogs lets other nodes read the logs that lie here.
func (n *Node) serveLogs() {
	n.port.Handle(methodLogs, func(ctx context.Context, _ sup.NodeName, body []byte) (any, error) {
		var q guardian.LogRead
		if err := rpc.Decode(body, &q); err != nil {
			return nil, err
		}
		q.Wait = min(q.Wait, logWait)
		p, err := n.logs.Read(ctx, q)
		return p, err
	})
}

// logPlace is what a LogPiece's After holds.
type logPlace struct {
	Node   sup.NodeName        `cbor:"1,keyasint"`
	Inc    sup.Incarnation     `cbor:"2,keyasint"`
	Cursor *guardian.LogCursor `cbor:"3,keyasint,omitempty"` // nil = where Inc begins
}

func (p logPlace) String() string {
	b, err := rpc.Encode(p)
	if err != nil {
		panic(err) // a value of plain fields
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseLogPlace(text string) (p logPlace, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = rpc.Decode(b, &p)
	}
	if err != nil || p.Node == "" {
		return p, &sup.Problem{Code: sup.CodeInvalidSpec, Detail: fmt.Sprintf("after=%q is no place in a log", text),
			Errors: []sup.FieldError{{Location: "query.after", Message: "give what `after` of the last record was"}}}
	}
	return p, nil
}
