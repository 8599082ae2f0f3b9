package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// ndjson is the media type of a log as records.
const ndjson = "application/x-ndjson"

type readLogs struct {
	Patience
	OneChild
	Lines  int          `query:"lines" minimum:"0" maximum:"1000000" default:"100" doc:"How many lines before its end the log begins."`
	Follow bool         `query:"follow" doc:"Go on with what is written, wherever the child runs, until the child is no more."`
	Node   sup.NodeName `query:"node" pattern:"^[a-z0-9-]{1,63}$" doc:"Read the log on this node; left out: on the one where the child runs, or ran last."`
	After  string       `query:"after" maxLength:"1024" doc:"Go on behind the record whose after this is, in place of lines."`
}

// logRecord is a line of a log as records. Exactly one of data, note and alive is there.
type logRecord struct {
	Data        []byte       `json:"data,omitempty" doc:"Output, in base64: a piece may end within a character."`
	Note        string       `json:"note,omitempty" doc:"What happened to the child or its log, for a person."`
	Alive       bool         `json:"alive,omitempty" doc:"There is nothing to tell."`
	Node        sup.NodeName `json:"node,omitempty" doc:"Where the output was read."`
	Incarnation uint64       `json:"incarnation,omitempty" doc:"That ran there."`
	After       string       `json:"after,omitempty" doc:"With ?after= one goes on behind this record."`
}

func (a *api) logRoutes() {
	path := "/v1/supervisors/{sup}/children/{child}/logs"
	register(a, huma.Operation{
		Method: http.MethodGet, Path: path, OperationID: "read-logs", Summary: "The output of a command", Tags: []string{"children"},
		Description: "What the command has written to stdout and stderr, from whichever node it lies on. It may be confidential, so it needs the role operator. " +
			"With Accept: application/x-ndjson it comes as records, which tell a restart, a move and a loss too; a record with alive comes every 5 s at least while one follows.",
		Metadata:  map[string]any{needs: Operator},
		Responses: refuses(asking, sup.CodeSupervisorNotFound, sup.CodeChildNotFound, sup.CodeNodeNotFound, sup.CodeNodeUnreachable),
	}, a.readLogs)
	record := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[logRecord](), true, "LogRecord")
	a.huma.OpenAPI().Paths[path].Get.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{
		"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}},
		ndjson:       {Schema: record}, // a line
	}}
}

func (a *api) readLogs(ctx context.Context, in *readLogs) (*huma.StreamResponse, error) {
	ctx, err := in.apply(ctx)
	if err != nil {
		return nil, err
	}
	leave, end := func() {}, context.CancelFunc(func() {})
	if in.Follow {
		if p := a.followers.enter(); p != nil {
			return nil, p
		}
		leave = a.followers.leave
		ctx, end = following(ctx)
	}
	over := func() {
		end()
		leave()
	}
	log, err := a.node.Logs(ctx, node.LogQuery{Supervisor: in.Supervisor, Child: in.Child, Node: in.Node, Lines: in.Lines, After: in.After, Follow: in.Follow})
	var first node.LogPiece
	if err == nil {
		first, err = log.Next(ctx)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		over()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer over()
		r, w := humago.Unwrap(c)
		out := logWriter{w: w, control: http.NewResponseController(w), patience: a.followers.patience, heartbeat: a.followers.heartbeat, records: wantsRecords(r.Header.Get("Accept"))}
		out.begin()
		piece, err := first, err
		for err == nil {
			if err = out.write(piece); err == nil {
				piece, err = log.Next(ctx)
			}
		}
		if !errors.Is(err, io.EOF) {
			a.log.Debug("a log stream ended", "client", r.RemoteAddr, "supervisor", in.Supervisor, "child", in.Child, "why", err)
			panic(http.ErrAbortHandler) // the client is to see that this was not the end
		}
	}}, nil
}

// wantsRecords reports whether a request asks for records.
func wantsRecords(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		if kind, _, err := mime.ParseMediaType(strings.TrimSpace(part)); err == nil && kind == ndjson {
			return true
		}
	}
	return false
}

// logWriter writes a log, as text or as records. It holds one piece at most, and the client must take each within its patience.
type logWriter struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	patience  time.Duration
	heartbeat time.Duration
	records   bool
	wrote     time.Time
}

func (l *logWriter) begin() {
	h := l.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if l.records {
		h.Set("Content-Type", ndjson)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for a proxy before the node
	l.w.WriteHeader(http.StatusOK)
}

// write writes a piece. Text has output alone; a sign of life is written as often as needed.
func (l *logWriter) write(p node.LogPiece) error {
	text := p.Data
	if l.records {
		rec := logRecord{Data: p.Data, Note: p.Note, Node: p.Node, Incarnation: p.Incarnation, After: p.After}
		if rec.Alive = len(p.Data) == 0 && p.Note == ""; rec.Alive && time.Since(l.wrote) < l.heartbeat {
			return nil
		}
		line, err := json.Marshal(rec)
		if err != nil {
			return fmt.Errorf("write a record: %w", err)
		}
		text = append(line, '\n')
	} else if len(text) == 0 && !l.wrote.IsZero() {
		return nil
	}
	l.wrote = time.Now()
	if err := l.control.SetWriteDeadline(l.wrote.Add(l.patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("bound a write: %w", err)
	}
	if _, err := l.w.Write(text); err != nil {
		return fmt.Errorf("the client does not read: %w", err)
	}
	if err := l.control.Flush(); err != nil {
		return fmt.Errorf("the client does not read: %w", err)
	}
	return nil
}
