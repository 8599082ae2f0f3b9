package cli

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/store"
)

// logLine is an entry of the Raft log for people. A command is said by its name and what it concerns.
type logLine struct {
	Index uint64     `json:"index"`
	Term  uint64     `json:"term"`
	Time  *time.Time `json:"time,omitempty"` // of the leader's wall clock
	Kind  string     `json:"kind"`           // command, noop, configuration, …
	What  []string   `json:"what,omitempty"`
	Wrong string     `json:"wrong,omitempty"` // why it can't be read
}

func logLineOf(e store.Entry) logLine {
	l := logLine{Index: e.Index, Term: e.Term, Kind: e.Kind, What: e.Servers}
	if e.Data == nil {
		return l
	}
	entry, err := fsm.Decode(e.Data)
	if err != nil {
		l.Wrong = err.Error()
		return l
	}
	l.tell(entry)
	return l
}

func (l *logLine) tell(entry fsm.Entry) {
	if entry.Wall != 0 {
		at := time.Unix(0, entry.Wall).UTC()
		l.Time = &at
	}
	for _, c := range entry.Commands {
		l.What = append(l.What, commandInWords(c))
	}
	for _, p := range entry.Placements {
		l.What = append(l.What, fmt.Sprintf("place %s on %s", p.Key, p.Node))
	}
	for _, u := range entry.Unplaced {
		l.What = append(l.What, fmt.Sprintf("no node for %s", u.Key))
	}
}

// commandInWords is the name of the command that is set in a union, and what it concerns.
func commandInWords(c fsm.Command) string {
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		f := v.Field(i)
		if name := v.Type().Field(i).Name; name != "Request" && f.Kind() == reflect.Pointer && !f.IsNil() {
			return strings.TrimSpace(snakeCase(name) + " " + concerns(f.Elem()))
		}
	}
	return "nothing"
}

// concerns looks for what a command is about: a key, or one of the names it has.
func concerns(v reflect.Value) string {
	if v.Kind() != reflect.Struct {
		return ""
	}
	var about []string
	for _, name := range []string{"Key", "Name", "Supervisor", "Node", "Leader", "Kind", "Reason", "Why"} {
		if f := v.FieldByName(name); f.IsValid() && !f.IsZero() {
			about = append(about, fmt.Sprint(f.Interface()))
		}
	}
	if spec := v.FieldByName("Spec"); spec.IsValid() {
		spec = reflect.Indirect(spec)
		for _, name := range []string{"Name", "ID"} {
			if spec.Kind() == reflect.Struct && spec.FieldByName(name).IsValid() {
				about = append(about, fmt.Sprint(spec.FieldByName(name).Interface()))
			}
		}
	}
	return strings.Join(about, " ")
}

func snakeCase(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && !unicode.IsUpper(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
