package edges

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// schema is as much of a JSON schema as is needed to be wrong about it.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"` // a name, or a list of names
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"`
	Enum       []any             `json:"enum"`
}

// openapi is what the running program says of itself.
type openapi struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name, In string
			Schema   schema
		}
		RequestBody *struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

func (o openapi) resolve(s schema) schema {
	for s.Ref != "" {
		s = o.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	return s
}

func (s schema) is(kind string) bool {
	if list, ok := s.Type.([]any); ok {
		return slices.Contains(list, any(kind))
	}
	return s.Type == kind
}

// notOne is JSON that a schema does not describe, or "" where anything goes.
func (s schema) notOne() string {
	switch {
	case s.is("string"), len(s.OneOf) > 0:
		return "7"
	case s.is("integer"), s.is("number"), s.is("boolean"), s.is("object"):
		return `"seven"`
	case s.is("array"):
		return "{}"
	}
	return ""
}

// wrongs are bodies with one field wrong: at says where.
func (o openapi) wrongs(s schema, at string, wrap func(string) string, depth int) (out map[string]string) {
	out = map[string]string{}
	s = o.resolve(s)
	if depth > 4 {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := o.resolve(s.Properties[name])
		inside := func(v string) string { return wrap(fmt.Sprintf("{%q: %s}", name, v)) }
		if wrong := p.notOne(); wrong != "" {
			out[at+name] = inside(wrong)
		}
		maps.Copy(out, o.wrongs(p, at+name+".", inside, depth+1))
		if p.Items != nil {
			item := o.resolve(*p.Items)
			if wrong := item.notOne(); wrong != "" {
				out[at+name+"[0]"] = inside("[" + wrong + "]")
			}
			maps.Copy(out, o.wrongs(item, at+name+"[0].", func(v string) string { return inside("[" + v + "]") }, depth+1))
		}
	}
	if len(s.Properties) > 0 {
		out[at+"colour"] = wrap(`{"colour": "red"}`)
	}
	return out
}

// Each field of each request's body, and each parameter, wrong in turn, as the program's own description lists them: 400 and
// the place that is wrong, and nothing is done.
func TestEachFieldOfEachRequestWrongInTurn(t *testing.T) {
	t.Parallel()
	w := theTown(t)
	var doc openapi
	ask(t, "GET", w.url("n1", "/openapi.json"), "").into(t, &doc)
	before := ask(t, "GET", w.url("n1", "/v1/supervisors"), "")
	tried := 0
	for path, operations := range doc.Paths {
		url := w.url("n2", strings.NewReplacer("{sup}", "steady", "{child}", "c1", "{node}", "n1", "{name}", "x").Replace(path))
		for method, op := range operations {
			method = strings.ToUpper(method)
			refuse := func(url, body, location string) {
				t.Helper()
				tried++
				a := ask(t, method, url, body)
				var p problem
				a.into(t, &p)
				found := slices.ContainsFunc(p.Errors, func(e struct{ Location, Message string }) bool {
					return (e.Location == location || strings.HasPrefix(location, e.Location+".")) && e.Message != ""
				})
				if a.status != http.StatusBadRequest || p.Code != "invalid_spec" || !found {
					t.Errorf("%s %s %s: want a 400 at %s, got %d %s", method, url, body, location, a.status, a.body)
				}
			}
			if op.RequestBody != nil {
				for at, body := range doc.wrongs(op.RequestBody.Content["application/json"].Schema, "", func(s string) string { return s }, 0) {
					refuse(url, body, at)
				}
				refuse(url, `{"a": 1`, "body")
				refuse(url, "", "body")
			}
			if path[:3] != "/v1" {
				continue
			}
			for _, p := range op.Parameters {
				if s := doc.resolve(p.Schema); p.In == "query" && op.RequestBody == nil && (p.Name == "timeout" || !s.is("string") || len(s.Enum) > 0) {
					refuse(url+"?"+p.Name+"=seven", "", "query."+p.Name)
				}
			}
			refuse(url+"?colour=red", map[bool]string{true: "{}"}[op.RequestBody != nil], "query.colour")
		}
	}
	if tried < 60 {
		t.Errorf("only %d requests were tried", tried)
	}
	if after := ask(t, "GET", w.url("n1", "/v1/supervisors"), ""); count(t, after) != count(t, before) {
		t.Errorf("before: %s\nafter: %s", before.body, after.body)
	}
}

// count is how many supervisors there are, without the one that another test starts beside this one.
func count(t *testing.T, supervisors answer) (n int) {
	t.Helper()
	var list struct{ Supervisors []struct{ Name string } }
	supervisors.into(t, &list)
	for _, s := range list.Supervisors {
		if s.Name != "big" {
			n++
		}
	}
	return n
}

// A body of 1 MiB is read, one byte more is refused as what it is: also when the client does not say how much it sends.
func TestABodyOfOneByteTooMany(t *testing.T) {
	t.Parallel()
	w := theTown(t)
	body := func(n int) string {
		const head, tail = `{"name": "big", "children": [{"id": "w1", "behavior": "exec", "args": [{"command": "`, `"}]}]}`
		return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
	}
	for _, c := range []struct {
		n, status int
		code      string
	}{{1 << 20, 502, "init_failed"}, {1<<20 + 1, 413, "payload_too_large"}, {5 << 20, 413, "payload_too_large"}} {
		a := ask(t, "POST", w.url("n3", "/v1/supervisors"), body(c.n))
		var p problem
		a.into(t, &p)
		if c.status == 413 && (a.status != 413 || p.Code != c.code || p.Bound != 1<<20 || !strings.Contains(p.Detail, "more than 1048576 bytes")) {
			t.Errorf("%d bytes: %d %.300s", c.n, a.status, a.body)
		}
		if c.status != 413 && a.status == 413 {
			t.Errorf("%d bytes: %d %.300s", c.n, a.status, a.body)
		}
	}
	if a := ask(t, "GET", w.url("n1", "/v1/supervisors/big"), ""); a.status != 404 {
		t.Errorf("something is left behind: %s", a.body)
	}
}
