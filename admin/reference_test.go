package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/supnode/supnode/test/expect"
)

// docs/http.md is what /openapi.json says, for people.
func TestTheHTTPReferenceIsTheAPI(t *testing.T) {
	var d described
	if err := json.Unmarshal(newFace(t).ask(http.MethodGet, "/openapi.json", "").Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	expect.File(t, filepath.Join("..", "docs", "http.md"), d.markdown())
}

// described is the part of an OpenAPI document that the reference tells.
type described struct {
	Paths      map[string]map[string]endpoint
	Components struct{ Schemas map[string]*schema }
}

type endpoint struct {
	Summary, Description string
	Parameters           []parameter
	RequestBody          struct {
		Required bool
		Content  map[string]struct{ Schema *schema }
	}
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema *schema }
		Headers     map[string]struct{ Schema *schema }
	}
}

type parameter struct {
	Name, In, Description string
	Required              bool
	Schema                *schema
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        any
	Description string
	Enum        []any
	Default     any
	Minimum     *float64
	Maximum     *float64
	Items       *schema
	Properties  map[string]*schema
	Required    []string
	AllOf       []*schema
	OneOf       []*schema
	AnyOf       []*schema
	Additional  any `json:"additionalProperties"`
}

// name is a type as a reader calls it.
func (s *schema) name() string {
	if s == nil {
		return "anything"
	}
	kinds := func(of []*schema) string {
		var all []string
		for _, o := range of {
			all = append(all, o.name())
		}
		return strings.Join(slices.Compact(all), " or ")
	}
	switch {
	case s.Ref != "":
		n := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		return fmt.Sprintf("[%s](#%s)", n, strings.ToLower(n))
	case len(s.AllOf) > 0:
		return s.AllOf[0].name()
	case len(s.OneOf) > 0:
		return kinds(s.OneOf)
	case len(s.AnyOf) > 0:
		return kinds(s.AnyOf)
	case len(s.Enum) > 0:
		var all []string
		for _, e := range s.Enum {
			all = append(all, fmt.Sprintf("`%v`", e))
		}
		return strings.Join(all, ", ")
	case s.Items != nil:
		return "list of " + s.Items.name()
	}
	switch k := s.Type.(type) {
	case string:
		return k
	case []any:
		for _, one := range k {
			if one != "null" {
				return fmt.Sprint(one)
			}
		}
	}
	return "anything"
}

// limits tells default and bounds.
func (s *schema) limits() string {
	var all []string
	if s != nil && s.Default != nil {
		all = append(all, fmt.Sprintf("default `%v`", s.Default))
	}
	if s != nil && s.Minimum != nil {
		all = append(all, fmt.Sprintf("at least %v", *s.Minimum))
	}
	if s != nil && s.Maximum != nil {
		all = append(all, fmt.Sprintf("at most %v", *s.Maximum))
	}
	return strings.Join(all, ", ")
}

func sentence(parts ...string) string {
	var all []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, strings.TrimSuffix(p, "."))
		}
	}
	return strings.ReplaceAll(strings.Join(all, "; "), "|", `\|`)
}

func (d *described) markdown() string {
	var b strings.Builder
	b.WriteString("# The HTTP API\n\nMade from `/openapi.json`, which every node serves (OpenAPI 3.1), by `go test ./admin -run TestTheHTTPReference -update`.\n" +
		"Errors are RFC 9457 `application/problem+json`; each status names its codes. `Idempotency-Key` makes a repeated write have its effect once.\n")
	everywhere := d.everywhere()
	b.WriteString("\nEvery request can be answered with:\n\n")
	for _, answer := range slices.Sorted(maps.Keys(everywhere)) {
		fmt.Fprintf(&b, "- %s\n", answer)
	}
	order := []string{"get", "post", "put", "delete"}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		methods := slices.SortedFunc(maps.Keys(d.Paths[path]), func(a, b string) int {
			return cmp.Compare(slices.Index(order, a), slices.Index(order, b))
		})
		for _, m := range methods {
			d.endpoint(&b, strings.ToUpper(m)+" "+path, d.Paths[path][m], everywhere)
		}
	}
	b.WriteString("\n## What is sent and answered\n")
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.Components.Schemas[name]
		fmt.Fprintf(&b, "\n### %s\n\n", name)
		if text := sentence(s.Description); text != "" {
			fmt.Fprintf(&b, "%s.\n\n", text)
		}
		if len(s.Properties) == 0 {
			fmt.Fprintf(&b, "%s\n", s.name())
			continue
		}
		b.WriteString("| field | type | |\n|---|---|---|\n")
		for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
			p, always := s.Properties[field], ""
			if slices.Contains(s.Required, field) {
				always = "always there"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", field, p.name(), sentence(p.Description, p.limits(), always))
		}
	}
	return b.String()
}

func (d *described) endpoint(b *strings.Builder, title string, o endpoint, everywhere map[string]bool) {
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if text := sentence(o.Summary); text != "" {
		fmt.Fprintf(b, "%s.\n\n", text)
	}
	if o.Description != "" && o.Description != o.Summary {
		fmt.Fprintf(b, "%s\n\n", o.Description)
	}
	if len(o.Parameters) > 0 {
		b.WriteString("| parameter | in | type | |\n|---|---|---|---|\n")
		for _, p := range o.Parameters {
			required := ""
			if p.Required && p.In != "path" {
				required = "required"
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", p.Name, p.In, p.Schema.name(), sentence(p.Description, p.Schema.limits(), required))
		}
		b.WriteString("\n")
	}
	for _, kind := range slices.Sorted(maps.Keys(o.RequestBody.Content)) {
		fmt.Fprintf(b, "Body: %s (`%s`)\n\n", o.RequestBody.Content[kind].Schema.name(), kind)
	}
	for _, answer := range o.answers() {
		if !everywhere[answer] {
			fmt.Fprintf(b, "- %s\n", answer)
		}
	}
}

// answers is a line for each status.
func (o endpoint) answers() (lines []string) {
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		r := o.Responses[status]
		line := fmt.Sprintf("**%s** %s", status, r.Description)
		for _, kind := range slices.Sorted(maps.Keys(r.Content)) {
			if kind != "application/problem+json" {
				line += fmt.Sprintf(" — %s (`%s`)", r.Content[kind].Schema.name(), kind)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// everywhere are the answers that all endpoints can give.
func (d *described) everywhere() map[string]bool {
	count, endpoints := map[string]int{}, 0
	for _, methods := range d.Paths {
		for _, o := range methods {
			endpoints++
			for _, a := range o.answers() {
				count[a]++
			}
		}
	}
	all := map[string]bool{}
	for a, n := range count {
		if n == endpoints {
			all[a] = true
		}
	}
	return all
}
