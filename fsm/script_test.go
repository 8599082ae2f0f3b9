package fsm

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/expect"
)

// TestRules plays the scripts in testdata. A script opens with the story it tells, in lines that begin with #. A line that
// begins with > is an order of the language below; what follows it is the trace of what it did. -update writes the traces.
//
//	nodes N…                          register nodes that have exec
//	register N [BEHAVIOR…] [id=ID] [tags=zone/a,disk/ssd]    register one
//	selectors NAME=N NAME=!WORDS      what the leader's custom selectors answer from now on; one that is not named it has not
//	down N · leave N [paced=y] · left N [why=W]   NodeDown, Leave, Left of its session; "session=G.S" names another one
//	drain N · undrain N · forget N · rebalance [max=N]   what operators ask for · move SUP/ID of its incarnation
//	start SUP CHILD… [max=3/5s] [selector=S] [home=N] [once]
//	      strategy=simple_one_for_one template=CHILD [targs=1,2] [max_children=N] [spread=TAG]
//	apply SUP CHILD… [as start]       make it as this manifest says · changes …   say what apply would do
//	spawn SUP ARG…                    start_child of simple_one_for_one
//	      strategy=S auto=any_significant
//	add SUP CHILD                     start_child; CHILD is [*]ID[:RESTART][@NODE|@SELECTOR|@custom/NAME][!BEHAVIOR][~INITIAL/MAX/RESET][#ARG]
//	                                  [^MAX_PER_NODE][?TAG/VALUE], significant with *; a supervisor is [*]ID[:RESTART]{[FLAG,…];CHILD,…} with a strategy,
//	                                  an intensity like 1/5s, a selector, and any_significant or all_significant as flags
//	terminate SUP/ID · restart SUP/ID · stop SUP [REASON]
//	running SUP/ID · moved SUP/ID REASON · ended SUP/ID REASON [DETAIL] · initfailed SUP/ID DETAIL   reports; "inc=G.E" names another incarnation
//	settle                            nodes do what they are to do, until nothing is outstanding
//	finish                            settle, and the leader looks again at what wants a node
//	advance D                         cluster time goes on
//	leaderless · leader               entries carry no placements · they do, and what wants a node is placed now
//	reboot                            the state is replaced by its snapshot
//	bump · released · ttl H TTL · retired TTL
//	deliver SUP/ID NODE CLAIM         a message that NODE is to deliver · delivered K CLAIM reply=JSON, problem=CODE or unsent=y   what came of it
//	key K ORDER                       ask under this idempotency key; "hash=X" changes what was asked
//	show · members · events           what readers see
//	order ; order                     in one entry
func TestRules(t *testing.T) { expect.Scripts(t, "testdata/*.txt", play) }

func play(t *testing.T, text string) string {
	if !strings.HasPrefix(text, "# ") {
		t.Fatal("the script does not open with its story")
	}
	p := &player{world: newWorld(t)}
	p.keeps = true
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"):
			if p.out.Len() > 0 && !strings.HasSuffix(p.out.String(), "\n\n") && !p.story {
				p.out.WriteString("\n")
			}
			p.story = true
			p.out.WriteString(line + "\n")
		case strings.HasPrefix(line, "> "):
			if p.story {
				p.out.WriteString("\n")
			}
			p.story = false
			p.out.WriteString(line + "\n")
			p.do(strings.TrimPrefix(line, "> "))
		}
	}
	return p.out.String()
}

type player struct {
	*world
	out   strings.Builder
	story bool
}

func (p *player) printf(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n", args...) }

func (p *player) do(line string) {
	p.t.Helper()
	words := strings.Fields(line)
	switch words[0] {
	case "nodes":
		for _, n := range words[1:] {
			p.trace(p.register(sup.NodeName(n)))
		}
	case "settle", "finish":
		for {
			if r := p.next(); r != nil {
				p.trace(p.apply(Command{Report: r}))
			} else if words[0] == "finish" && p.overlooked() {
				p.trace(p.apply(Command{Tick: &Tick{}}))
			} else {
				break
			}
		}
	case "advance":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			p.t.Fatal(err)
		}
		p.trace(p.commit(p.entryAfter(int64(d), Command{Tick: &Tick{}})))
	case "selectors":
		_, p.custom = options(words[1:])
		for name, answer := range p.custom {
			p.custom[name] = strings.ReplaceAll(answer, "_", " ")
		}
		p.trace(p.apply(Command{Tick: &Tick{}}))
	case "leaderless":
		p.placing = false
	case "leader":
		p.placing = true
		p.trace(p.apply(Command{Tick: &Tick{}}))
	case "reboot":
		p.reboot()
	case "show":
		p.show()
	case "changes":
		words, opts := options(words)
		next := p.manifest(words, opts)
		changes, problem := p.s.Changes(&next)
		if problem != nil {
			p.printf("  %s", problem)
		}
		p.printf("  %s", inWords(changes))
		if problem == nil {
			for _, text := range p.s.Apart(next.Name, changes) {
				p.printf("  %s", text)
			}
		}
	case "members":
		p.members()
	case "events":
		events, _, _ := p.s.Events(0, 1000)
		for _, e := range events {
			p.event(e)
		}
	default:
		var commands []Command
		for order := range strings.SplitSeq(line, " ; ") {
			commands = append(commands, p.command(strings.Fields(order)))
		}
		p.trace(p.apply(commands...))
	}
}

// options takes NAME=VALUE and bare flags off the words.
func options(words []string) (rest []string, opts map[string]string) {
	opts = map[string]string{}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok && !strings.Contains(k, "{") {
			opts[k] = v
		} else {
			rest = append(rest, w)
		}
	}
	return rest, opts
}

func (p *player) command(words []string) Command {
	p.t.Helper()
	words, opts := options(words)
	request := func(c Command) Command {
		c.Request = &Request{Key: opts["key"], Hash: []byte("h" + opts["hash"]), Own: opts["own"] != ""}
		if c.Request.Key == "" {
			p.keys++
			c.Request.Key = "k" + strconv.Itoa(p.keys)
		}
		return c
	}
	if words[0] == "key" {
		opts["key"], words = words[1], words[2:]
	}
	at := func() sup.Key {
		k, _ := sup.Name(words[1]).Parent()
		return k
	}
	switch words[0] {
	case "register":
		r := p.registration(sup.NodeName(words[1]), words[2:]...)
		if id := opts["id"]; id != "" {
			r.ID = id
		}
		for tag := range strings.SplitSeq(opts["tags"], ",") {
			if k, v, ok := strings.Cut(tag, "/"); ok {
				r.Tags = append(r.Tags, Tag{Key: k, Value: v})
			}
		}
		if opts["session"] != "" {
			r.Replaces = p.session("", opts)
		}
		return Command{Register: r}
	case "down":
		n := sup.NodeName(words[1])
		return Command{NodeDown: &NodeDown{Node: n, Session: p.session(n, opts), Why: "lease expired"}}
	case "leave":
		n := sup.NodeName(words[1])
		return Command{Leave: &Leave{Node: n, Session: p.session(n, opts), Paced: opts["paced"] != ""}}
	case "left":
		n := sup.NodeName(words[1])
		return Command{Left: &Left{Node: n, Session: p.session(n, opts), Why: opts["why"]}}
	case "start":
		c := &StartSupervisor{Spec: p.manifest(words, opts), Home: sup.NodeName(opts["home"]), Once: opts["once"] != ""}
		return request(Command{StartSupervisor: c})
	case "apply":
		return request(Command{ApplyManifest: &ApplyManifest{Spec: p.manifest(words, opts), Home: sup.NodeName(opts["home"])}})
	case "add":
		cs := childOf(words[2]).WithDefaults()
		return request(Command{StartChild: &StartChild{Supervisor: sup.Name(words[1]), Spec: &cs}})
	case "spawn":
		return request(Command{StartChild: &StartChild{Supervisor: sup.Name(words[1]), Args: args(strings.Join(words[2:], ","))}})
	case "terminate":
		return request(Command{TerminateChild: &TerminateChild{Key: at()}})
	case "restart":
		return request(Command{RestartChild: &RestartChild{Key: at()}})
	case "stop":
		return request(Command{StopSupervisor: &StopSupervisor{Name: sup.Name(words[1]), Reason: strings.Join(words[2:], " ")}})
	case "running":
		return Command{Report: &Report{Key: at(), Inc: p.inc(at(), opts), Kind: ReportRunning}}
	case "ended":
		return Command{Report: &Report{Key: at(), Inc: p.inc(at(), opts), Kind: ReportEnded, Reason: sup.ExitReason(words[2]), Detail: strings.Join(words[3:], " ")}}
	case "moved":
		return Command{Report: &Report{Key: at(), Inc: p.inc(at(), opts), Kind: ReportMoved, Reason: sup.ExitReason(words[2])}}
	case "initfailed":
		return Command{Report: &Report{Key: at(), Inc: p.inc(at(), opts), Kind: ReportInitFailed, Detail: strings.Join(words[2:], " ")}}
	case "hangs":
		return Command{Report: &Report{Key: at(), Inc: p.inc(at(), opts), Kind: ReportHanging}}
	case "move":
		return Command{Move: &Move{Key: at(), Inc: p.inc(at(), opts)}}
	case "drain", "undrain":
		return request(Command{Drain: &Drain{Node: sup.NodeName(words[1]), Undo: words[0] == "undrain"}})
	case "forget":
		return request(Command{ForgetNode: &ForgetNode{Node: sup.NodeName(words[1])}})
	case "rebalance":
		limit := MaxMoves
		if m := opts["max"]; m != "" {
			limit, _ = strconv.Atoi(m)
		}
		return request(Command{Rebalance: &Rebalance{Max: limit, Moves: p.s.PlanRebalance(limit)}})
	case "deliver":
		claim, _ := strconv.ParseUint(words[3], 10, 64)
		return request(Command{Deliver: &Deliver{Key: at(), Node: sup.NodeName(words[2]), Claim: claim}})
	case "delivered":
		d := &Delivered{Request: words[1]}
		d.Claim, _ = strconv.ParseUint(words[2], 10, 64)
		if opts["unsent"] == "" {
			o := Outcome{Reply: []byte(opts["reply"])}
			if code := opts["problem"]; code != "" {
				o = Outcome{Problem: &sup.Problem{Code: sup.Code(code), Detail: "no \xff"}}
			}
			o = o.Kept()
			d.Outcome = &o
		}
		return Command{Delivered: d}
	case "bump":
		return Command{Bump: &Bump{Gen: p.s.gen + 1}}
	case "released":
		return Command{Released: &Released{Gen: p.s.gen}}
	case "establish":
		return Command{Establish: &Establish{Term: p.s.term + 1, Leader: sup.NodeName(words[1])}}
	case "ttl":
		h, err := time.ParseDuration(words[1])
		ttl, err2 := time.ParseDuration(words[2])
		if err != nil || err2 != nil {
			p.t.Fatal(err, err2)
		}
		return Command{SetTTL: &SetTTL{HeartbeatInterval: int64(h), LeaseTTL: int64(ttl)}}
	case "retired":
		ttl, err := time.ParseDuration(words[1])
		if err != nil {
			p.t.Fatal(err)
		}
		return Command{TTLRetired: &TTLRetired{LeaseTTL: int64(ttl)}}
	}
	p.t.Fatalf("unknown order %q", words)
	return Command{}
}

// manifest is what start and apply name.
func (p *player) manifest(words []string, opts map[string]string) sup.Spec {
	p.t.Helper()
	sp := sup.Spec{Name: sup.Name(words[1])}
	if m, d, ok := strings.Cut(opts["max"], "/"); ok {
		n, err := strconv.Atoi(m)
		within, err2 := time.ParseDuration(d)
		if err != nil || err2 != nil {
			p.t.Fatal(err, err2)
		}
		sp.Intensity = &sup.Intensity{MaxRestarts: n, Within: sup.Of(within)}
	}
	if s := opts["selector"]; s != "" {
		sp.Selector = selectorOf(s)
	}
	sp.Spread = opts["spread"]
	sp.AutoShutdown = sup.AutoShutdown(opts["auto"])
	sp.Strategy = sup.Strategy(opts["strategy"])
	if template, ok := opts["template"]; ok {
		cs := childOf(template)
		for _, a := range args(opts["targs"]) {
			cs.Args = append(cs.Args, a)
		}
		sp.ChildTemplate = &cs
	}
	sp.MaxChildren, _ = strconv.Atoi(opts["max_children"])
	for _, w := range words[2:] {
		sp.Children = append(sp.Children, childOf(w))
	}
	return sp.WithDefaults()
}

// args reads A,B,…
func args(text string) (values [][]byte) {
	for a := range strings.SplitSeq(text, ",") {
		if a != "" {
			values = append(values, []byte(a))
		}
	}
	return values
}

// selectorOf reads a kind, or custom/NAME.
func selectorOf(text string) *sup.Selector {
	if name, ok := strings.CutPrefix(text, "custom/"); ok {
		return sup.Custom(name)
	}
	return &sup.Selector{Kind: sup.SelectorKind(text)}
}

// childOf reads [*]ID[:RESTART][@NODE|@SELECTOR][!BEHAVIOR][~INITIAL/MAX/RESET][#ARG][^MAX_PER_NODE][?TAG/VALUE]; a backoff
// is without jitter, its factor 2.
func childOf(w string) sup.ChildSpec {
	w, significant := strings.CutPrefix(w, "*")
	if head, tree, ok := strings.Cut(w, "{"); ok {
		id, restart, _ := strings.Cut(head, ":")
		s := treeOf(strings.TrimSuffix(tree, "}"))
		return sup.ChildSpec{ID: sup.ChildID(id), Restart: sup.Restart(restart), Significant: significant, Supervisor: &s}
	}
	w, require, _ := strings.Cut(w, "?")
	w, most, _ := strings.Cut(w, "^")
	w, arg, _ := strings.Cut(w, "#")
	w, backoff, _ := strings.Cut(w, "~")
	w, behavior, _ := strings.Cut(w, "!")
	w, where, _ := strings.Cut(w, "@")
	id, restart, _ := strings.Cut(w, ":")
	c := sup.ChildSpec{ID: sup.ChildID(id), Behavior: behavior, Restart: sup.Restart(restart), Significant: significant}
	if behavior == "" {
		c.Behavior = "exec"
	}
	if arg != "" {
		c.Args = []json.RawMessage{json.RawMessage(arg)}
	}
	c.MaxPerNode, _ = strconv.Atoi(most)
	if tag, value, ok := strings.Cut(require, "/"); ok {
		c.Require = map[string]string{tag: value}
	}
	if backoff != "" {
		c.Backoff = &sup.Backoff{}
		durations := []*sup.Duration{&c.Backoff.Initial, &c.Backoff.Max, &c.Backoff.ResetAfter}
		for i, d := range strings.Split(backoff, "/") {
			if err := durations[i].UnmarshalText([]byte(d)); err != nil {
				panic(err)
			}
		}
	}
	node, fallback, _ := strings.Cut(where, "|")
	switch {
	case where == "":
	case strings.HasPrefix(where, "n"):
		c.Selector = &sup.Selector{Kind: sup.SelectNode, Node: sup.NodeName(node), Fallback: sup.SelectorKind(fallback)}
	default:
		c.Selector = selectorOf(where)
	}
	return c
}

// treeOf reads [FLAG,…];CHILD,….
func treeOf(w string) (s sup.Spec) {
	flags, children, _ := strings.Cut(w, ";")
	for f := range strings.SplitSeq(flags, ",") {
		switch m, d, intensity := strings.Cut(f, "/"); {
		case f == "":
		case sup.Strategy(f).Valid():
			s.Strategy = sup.Strategy(f)
		case sup.AutoShutdown(f).Valid():
			s.AutoShutdown = sup.AutoShutdown(f)
		case intensity:
			n, err := strconv.Atoi(m)
			within, err2 := time.ParseDuration(d)
			if err != nil || err2 != nil {
				panic(f)
			}
			s.Intensity = &sup.Intensity{MaxRestarts: n, Within: sup.Of(within)}
		case selectorOf(f) != nil:
			s.Selector = selectorOf(f)
		default:
			panic(f)
		}
	}
	depth, from := 0, 0
	for i, r := range children + "," {
		switch {
		case r == '{':
			depth++
		case r == '}':
			depth--
		case r == ',' && depth == 0:
			if i > from {
				s.Children = append(s.Children, childOf(children[from:i]))
			}
			from = i + 1
		}
	}
	return s
}

func pair(text string) (a, b uint64) {
	_, _ = fmt.Sscanf(text, "%d.%d", &a, &b)
	return a, b
}

func (p *player) session(n sup.NodeName, opts map[string]string) sup.Session {
	if s := opts["session"]; s != "" {
		g, q := pair(s)
		return sup.Session{Gen: g, Seq: q}
	}
	if known := p.s.Node(n); known != nil {
		return known.Session
	}
	return sup.Session{}
}

func (p *player) inc(k sup.Key, opts map[string]string) sup.Incarnation {
	if s := opts["inc"]; s != "" {
		g, e := pair(s)
		return sup.Incarnation{Gen: g, Index: e}
	}
	if c := p.s.Child(k); c != nil {
		return c.Inc
	}
	return sup.Incarnation{}
}
