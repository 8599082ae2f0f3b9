package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// Step is one entry of a story. As text it is
//
//	[+D] ORDER ; ORDER | SUP/ID@NODE … | SUP/ID!CODE …
//
// cluster time goes on by D, the orders happen, the leader places children, and it says of others that no node can take them.
// Orders:
//
//	register N [BEHAVIOR…] ·  (n2 has the tag zone=b, the others zone=a) down N · leave N [paced] · left N · drain N · undrain N · leader N · tick
//	start SUP STRATEGY [max=1/5s] [auto=any|all] [limit=N] [sel=SELECTOR] CHILD…   CHILD is ID[:RESTART][*][~][%MAX][^ZONE][@NODE][!BEHAVIOR],
//	                                             * = significant, %MAX = max_per_node, ^ZONE = requires the tag,
//	                                             ~ = with a backoff of 1s, 2s, 4s, 4s, …, anew after 5s;
//	                                             or ID[:RESTART][*]{STRATEGY,…,CHILD,…}, a supervisor of its own
//	apply SUP STRATEGY …, as start · rebalance [N] · bump · released
//	add SUP [CHILD] · terminate SUP/ID · restart SUP/ID · stop SUP [REASON]
//	running SUP/ID[#INC] · ended SUP/ID[#INC] REASON · moved SUP/ID[#INC] REASON · initfailed SUP/ID[#INC] · move SUP/ID[#INC]   INC is the entry that placed it
//	again K                                      the K-th request is asked again under its key
//
// The child of simple_one_for_one's start is its template.
type Step struct {
	After    time.Duration
	Orders   []string
	Places   []string
	Unplaced []string
}

func (s Step) String() string {
	text := strings.Join(s.Orders, " ; ")
	if s.After > 0 {
		text = "+" + s.After.String() + " " + text
	}
	if len(s.Places)+len(s.Unplaced) > 0 {
		text += " | " + strings.Join(s.Places, " ")
	}
	if len(s.Unplaced) > 0 {
		text += " | " + strings.Join(s.Unplaced, " ")
	}
	return text
}

// ParseStep reads a line of a story.
func ParseStep(line string) (s Step, err error) {
	parts := strings.Split(line, "|")
	orders := strings.TrimSpace(parts[0])
	if after, rest, _ := strings.Cut(orders, " "); strings.HasPrefix(after, "+") {
		if s.After, err = time.ParseDuration(after[1:]); err != nil {
			return s, err
		}
		orders = rest
	}
	for o := range strings.SplitSeq(orders, ";") {
		s.Orders = append(s.Orders, strings.TrimSpace(o))
	}
	if len(parts) > 1 {
		s.Places = strings.Fields(parts[1])
	}
	if len(parts) > 2 {
		s.Unplaced = strings.Fields(parts[2])
	}
	return s, nil
}

func parseKey(text string) sup.Key {
	i := strings.LastIndex(text, "/") // a sub-supervisor's name has a slash of its own
	return sup.Key{Supervisor: sup.Name(text[:max(i, 0)]), Child: sup.ChildID(text[i+1:])}
}

// parseRun reads SUP/ID[#INC]; without INC it is 0.
func parseRun(text string) (sup.Key, uint64) {
	k, inc, _ := strings.Cut(text, "#")
	n, _ := strconv.ParseUint(inc, 10, 64)
	return parseKey(k), n
}

func parseChild(text string) sup.ChildSpec {
	text, manifest, isSup := strings.Cut(text, "{")
	text, behavior, _ := strings.Cut(text, "!")
	text, node, _ := strings.Cut(text, "@")
	text, zone, bound := strings.Cut(text, "^")
	text, limit, _ := strings.Cut(text, "%")
	text, backoff := strings.CutSuffix(text, "~")
	text, significant := strings.CutSuffix(text, "*")
	id, restart, _ := strings.Cut(text, ":")
	c := sup.ChildSpec{ID: sup.ChildID(id), Behavior: behavior, Restart: sup.Restart(restart), Significant: significant}
	if isSup {
		sp, err := parseManifest(fields(strings.TrimSuffix(manifest, "}")))
		if err != nil {
			panic(err)
		}
		c.Supervisor = &sp
		return c.WithDefaults()
	}
	if behavior == "" {
		c.Behavior = "exec"
	}
	if backoff {
		c.Backoff = &sup.Backoff{Initial: sup.Of(time.Second), Max: sup.Of(4 * time.Second), Factor: 2, ResetAfter: sup.Of(5 * time.Second)}
	}
	c.MaxPerNode, _ = strconv.Atoi(limit)
	if bound {
		c.Require = map[string]string{"zone": zone}
	}
	if node != "" {
		c.Selector = &sup.Selector{Kind: sup.SelectNode, Node: sup.NodeName(node)}
	}
	return c.WithDefaults()
}

func printChild(c sup.ChildSpec) string {
	text := string(c.ID) + ":" + string(c.Restart)
	if c.Significant {
		text += "*"
	}
	if c.Backoff != nil {
		text += "~"
	}
	if c.MaxPerNode > 0 {
		text += "%" + strconv.Itoa(c.MaxPerNode)
	}
	if len(c.Require) > 0 {
		text += "^" + c.Require["zone"]
	}
	if c.Selector != nil {
		text += "@" + string(c.Selector.Node)
	}
	if c.Supervisor != nil {
		return text + "{" + strings.Join(printManifest(*c.Supervisor), ",") + "}"
	}
	if c.Behavior != "exec" {
		text += "!" + c.Behavior
	}
	return text
}

func parseSpec(words []string) (sup.Spec, error) {
	sp, err := parseManifest(words[1:])
	sp.Name = sup.Name(words[0])
	return sp.WithDefaults(), err
}

// fields are the words of a manifest within braces: what is between commas, but for those within braces of their own.
func fields(text string) (words []string) {
	depth, from := 0, 0
	for i, r := range text {
		switch {
		case r == '{':
			depth++
		case r == '}':
			depth--
		case r == ',' && depth == 0:
			words = append(words, text[from:i])
			from = i + 1
		}
	}
	return append(words, text[from:])
}

func parseManifest(words []string) (sup.Spec, error) {
	sp := sup.Spec{Strategy: sup.Strategy(words[0])}
	var children []sup.ChildSpec
	for _, w := range words[1:] {
		name, value, option := strings.Cut(w, "=")
		switch {
		case !option || strings.Contains(name, "{"):
			children = append(children, parseChild(w))
		case name == "max":
			m, d, _ := strings.Cut(value, "/")
			n, err := strconv.Atoi(m)
			within, err2 := time.ParseDuration(d)
			if err != nil || err2 != nil {
				return sp, fmt.Errorf("max=%s: %w %w", value, err, err2)
			}
			sp.Intensity = &sup.Intensity{MaxRestarts: n, Within: sup.Of(within)}
		case name == "auto":
			sp.AutoShutdown = sup.AutoShutdown(value + "_significant")
		case name == "sel":
			sp.Selector = &sup.Selector{Kind: sup.SelectorKind(value)}
		case name == "limit":
			sp.MaxChildren, _ = strconv.Atoi(value)
		}
	}
	if sp.Strategy == sup.SimpleOneForOne && len(children) == 1 {
		sp.ChildTemplate = &children[0]
		sp.ChildTemplate.ID = ""
	} else {
		sp.Children = children
	}
	return sp, nil
}

func printSpec(sp sup.Spec) string {
	return string(sp.Name) + " " + strings.Join(printManifest(sp), " ")
}

func printManifest(sp sup.Spec) []string {
	words := []string{string(sp.Strategy), fmt.Sprintf("max=%d/%s", sp.Intensity.MaxRestarts, sp.Intensity.Within)}
	if a, ok := strings.CutSuffix(string(sp.AutoShutdown), "_significant"); ok {
		words = append(words, "auto="+a)
	}
	if sp.Selector != nil && sp.Selector.Kind != sup.SelectLocalFirst {
		words = append(words, "sel="+string(sp.Selector.Kind))
	}
	if sp.MaxChildren > 0 {
		words = append(words, "limit="+strconv.Itoa(sp.MaxChildren))
	}
	children := sp.Children
	if sp.ChildTemplate != nil {
		children = slices.Concat(children, []sup.ChildSpec{*sp.ChildTemplate})
	}
	for _, c := range children {
		words = append(words, printChild(c))
	}
	return words
}
