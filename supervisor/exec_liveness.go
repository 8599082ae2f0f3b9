package supervisor

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Liveness is how a command is known to be hung: a probe that fails several times in a row. Exactly one of Command, TCP and HTTP is there.
type Liveness struct {
	Command      []string `json:"command,omitempty"` // a program, allowed as any command is, and its arguments; status 0 = alive
	TCP          string   `json:"tcp,omitempty"`     // host:port that accepts connections
	HTTP         string   `json:"http,omitempty"`    // a URL that answers a GET with a status of 200 to 399
	Interval     Duration `json:"interval"`          // from the beginning of one probe to that of the next
	Timeout      Duration `json:"timeout"`           // after which a probe has failed
	Failures     int      `json:"failures"`          // in a row, at which the command is killed
	InitialDelay Duration `json:"initial_delay"`     // from the start of the command to the first probe
}

// The defaults of Liveness; that of InitialDelay is Interval.
const (
	DefaultProbeInterval Duration = 10e9
	DefaultProbeTimeout  Duration = 1e9
	DefaultProbeFailures          = 3
)

// The bounds of Liveness.
const (
	minProbeInterval Duration = 1e8
	minProbeTimeout  Duration = 1e7
	maxProbeWait     Duration = 86_400e9
	maxProbeFailures          = 1000
)

// liveness reads the field of that name.
func (o *object) liveness() *Liveness {
	o.taken = append(o.taken, "liveness")
	raw := o.fields["liveness"]
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	in, ok := o.v.object(o.at+".liveness", raw, `liveness is an object, like {"tcp": "127.0.0.1:8080", "interval": "10s"}`)
	if !ok {
		return nil
	}
	l := &Liveness{Interval: DefaultProbeInterval, Timeout: DefaultProbeTimeout, Failures: DefaultProbeFailures}
	in.take("command", "a list of strings", &l.Command)
	in.take("tcp", "a string", &l.TCP)
	in.take("http", "a string", &l.HTTP)
	in.span("interval", &l.Interval, minProbeInterval, maxProbeWait)
	in.span("timeout", &l.Timeout, minProbeTimeout, maxProbeWait)
	in.take("failures", "a whole number", &l.Failures)
	l.InitialDelay = l.Interval
	in.span("initial_delay", &l.InitialDelay, 0, maxProbeWait)
	in.rest("liveness")
	if !in.bad["failures"] && (l.Failures < 1 || l.Failures > maxProbeFailures) {
		in.wrong("failures", "%d is not between 1 and %d", l.Failures, maxProbeFailures)
	}
	in.probe(l)
	return l
}

// span takes a duration within bounds.
func (o *object) span(name string, into *Duration, least, most Duration) {
	o.taken = append(o.taken, name)
	raw := o.fields[name]
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	var d Duration
	if json.Unmarshal(raw, &d) != nil || d == Infinity {
		o.bad[name] = true
		o.wrong(name, `this is not a duration; write one like "10s"`)
		return
	}
	if *into = d; d < least || d > most {
		o.wrong(name, "%s is not between %s and %s", d, least, most)
	}
}

// probe checks what is asked.
func (o *object) probe(l *Liveness) {
	const want = "say how to probe: one of command, tcp and http"
	given := 0
	for _, name := range []string{"command", "tcp", "http"} {
		if o.has(name) && string(o.fields[name]) != "null" {
			given++
		}
	}
	switch {
	case given != 1:
		o.v.add(o.at, "%s (here are %d)", want, given)
	case o.bad["command"] || o.bad["tcp"] || o.bad["http"]:
	case o.has("command"):
		o.probeCommand(l.Command)
	case o.has("tcp"):
		if !hostPort(l.TCP) {
			o.wrong("tcp", `%q is not HOST:PORT, like "127.0.0.1:8080"`, l.TCP)
		}
	default:
		host, ok := strings.CutPrefix(l.HTTP, "http://")
		if !ok {
			host, ok = strings.CutPrefix(l.HTTP, "https://")
		}
		if !ok || host == "" || host[0] == '/' || strings.ContainsFunc(l.HTTP, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			o.wrong("http", `%q is not a URL, like "http://127.0.0.1:8080/healthz"`, l.HTTP)
		}
	}
}

func (o *object) probeCommand(command []string) {
	if len(command) == 0 || command[0] == "" {
		o.wrong("command", `a probe needs a command, like ["/usr/bin/pg_isready", "-q"]`)
		return
	}
	if strings.Contains(command[0], "/") && !path.IsAbs(command[0]) {
		o.wrong("command[0]", "%q is a relative path; give an absolute one, or a name that is looked up in PATH", command[0])
	}
	for i, s := range command {
		if strings.Contains(s, "\x00") {
			o.wrong(fmt.Sprintf("command[%d]", i), nul)
		}
	}
}

func hostPort(text string) bool {
	i := strings.LastIndexByte(text, ':')
	if i <= 0 {
		return false
	}
	host := text[:i]
	if strings.Contains(host, ":") && (host[0] != '[' || host[len(host)-1] != ']') {
		return false
	}
	port, err := strconv.ParseUint(text[i+1:], 10, 16)
	return err == nil && port > 0 && !strings.ContainsAny(host, " /")
}
