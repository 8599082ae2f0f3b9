// Package eventline prints lifecycle events for a person, one a line, coloured on a terminal.
package eventline

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	sup "github.com/supnode/supnode/supervisor"
)

// Writer prints events.
type Writer struct {
	out    io.Writer
	colour bool
}

// New makes a Writer; it uses colour when out is a terminal and NO_COLOR is not set.
func New(out io.Writer) *Writer {
	return &Writer{out: out, colour: os.Getenv("NO_COLOR") == "" && terminal(out)}
}

func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// The colours of a terminal.
const (
	green, yellow, red, blue, grey = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[36m", "\x1b[90m"
	plain                          = "\x1b[0m"
)

var colours = map[sup.EventType]string{
	sup.EventSupervisorStarted: green, sup.EventSupervisorStopped: yellow,
	sup.EventChildStarted: green, sup.EventChildStopped: yellow, sup.EventChildRestarted: green, sup.EventChildMigrated: blue,
	sup.EventNodeFailureDetected: red, sup.EventChildHanging: red, sup.EventNodeJoined: blue, sup.EventNodeLeft: yellow, sup.EventNodeDraining: yellow, sup.EventNodeUndrained: blue,
	sup.EventLeaderChanged: blue, sup.EventRestartIntensityExceeded: red,
}

// Write prints one event: its time, its type, and what it concerns.
func (w *Writer) Write(e sup.Event) error {
	kind := fmt.Sprintf("%-21s", e.Type)
	at := e.Time.UTC().Format("15:04:05.000")
	if w.colour {
		kind = colours[e.Type] + kind + plain
		at = grey + at + plain
	}
	_, err := fmt.Fprintf(w.out, "%s  %s  %s\n", at, kind, strings.ReplaceAll(Printable(About(e)), "\n", " "))
	return err
}

// Printable is a text with its control characters made visible, but for the ends of lines: what a command has said or a
// client has asked is shown on a terminal, and moves nothing there.
func Printable(text string) string {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' }
	if !strings.ContainsFunc(text, control) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if control(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// About says what an event concerns, after its type.
func About(e sup.Event) string {
	child := string(e.Supervisor) + "/" + string(e.Child)
	run := fmt.Sprintf("%s on %s, incarnation %d", child, e.Node, e.Incarnation)
	if e.Node == "" { // a supervisor
		run = child
	}
	switch e.Type {
	case sup.EventSupervisorStarted:
		return string(e.Supervisor)
	case sup.EventSupervisorStopped:
		return fmt.Sprintf("%s: %s", e.Supervisor, e.Reason)
	case sup.EventChildStarted:
		return run
	case sup.EventChildStopped:
		if e.Node == "" {
			return fmt.Sprintf("%s: %s", child, e.Reason)
		}
		return fmt.Sprintf("%s on %s: %s", child, e.Node, e.Reason)
	case sup.EventChildRestarted:
		return fmt.Sprintf("%s, restart %d", run, e.Attempt)
	case sup.EventChildMigrated:
		return fmt.Sprintf("%s from %s to %s, incarnation %d", child, e.FromNode, e.ToNode, e.Incarnation)
	case sup.EventNodeFailureDetected:
		return fmt.Sprintf("%s was lost with %s", e.Node, lost(e.AffectedChildren))
	case sup.EventLeaderChanged:
		return fmt.Sprintf("%s leads, term %d", e.Leader, e.Term)
	case sup.EventRestartIntensityExceeded:
		about := string(e.Supervisor)
		if e.MaxRestarts != nil && e.Within != nil {
			about += fmt.Sprintf(": more than %d restarts in %s", *e.MaxRestarts, *e.Within)
		}
		return about
	}
	return string(e.Node)
}

// maxNamed is how many lost children are named.
const maxNamed = 8

func lost(keys []sup.Key) string {
	if len(keys) == 0 {
		return "no children"
	}
	var names []string
	for _, k := range keys[:min(len(keys), maxNamed)] {
		names = append(names, k.String())
	}
	if n := len(keys) - maxNamed; n > 0 {
		names = append(names, fmt.Sprintf("and %d more", n))
	}
	if len(keys) == 1 {
		return "1 child: " + names[0]
	}
	return fmt.Sprintf("%d children: %s", len(keys), strings.Join(names, ", "))
}
