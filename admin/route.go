package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	sup "github.com/supnode/supnode/supervisor"
)

// route is what the gate knows of an operation: who may ask for it, and what a request to it may say. What nobody would read
// is refused, rather than taken for something else: ?limt=10 would list everything.
type route struct {
	role  Role
	query []string // the parameters there are, sorted
	text  []string // those of them that may be empty
	body  bool
	keyed bool // it takes an Idempotency-Key
}

// keyHeader is the header that makes requests one.
const keyHeader = "Idempotency-Key"

func routeOf(role Role, path *huma.PathItem, method string) route {
	op := map[string]*huma.Operation{http.MethodGet: path.Get, http.MethodPost: path.Post, http.MethodPut: path.Put, http.MethodDelete: path.Delete}[method]
	r := route{role: role, body: op.RequestBody != nil}
	for _, p := range op.Parameters {
		r.keyed = r.keyed || p.In == "header" && p.Name == keyHeader
		if p.In == "query" {
			r.query = append(r.query, p.Name)
			if p.Schema.Type == huma.TypeString && len(p.Schema.Enum) == 0 {
				r.text = append(r.text, p.Name)
			}
		}
	}
	slices.Sort(r.query)
	return r
}

// check refuses parameters that there are not, ones that are given twice or without a value, a key likewise, and a body where
// none is read: ?dry_run alone would be no dry run. The body has been taken in.
func (to route) check(r *http.Request) *sup.Problem {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalidAt("query", "%s; write NAME=VALUE&…, with anything else than letters and digits escaped as %%XX", err)
	}
	var wrong []sup.FieldError
	for _, name := range slices.Sorted(maps.Keys(given)) {
		at := sup.FieldError{Location: "query." + name}
		switch {
		case !slices.Contains(to.query, name) && len(to.query) == 0:
			at.Message = fmt.Sprintf("unknown parameter %q; this request has none", name)
		case !slices.Contains(to.query, name):
			at.Message = fmt.Sprintf("unknown parameter %q; there are: %s", name, strings.Join(to.query, ", "))
		case len(given[name]) > 1:
			at.Message = fmt.Sprintf("%s is given %d times; give it once", name, len(given[name]))
		case given.Get(name) == "" && !slices.Contains(to.text, name):
			at.Message = fmt.Sprintf("%s has no value; write %s=VALUE or leave it out", name, name)
		default:
			continue
		}
		wrong = append(wrong, at)
	}
	if keys := r.Header.Values(keyHeader); to.keyed && (len(keys) > 1 || len(keys) == 1 && keys[0] == "") {
		wrong = append(wrong, sup.FieldError{Location: "header." + keyHeader, Message: "give one key, or leave the header out"})
	}
	if len(wrong) == 0 && !to.body {
		wrong = unread(r)
	}
	if len(wrong) == 0 {
		return nil
	}
	return invalid(wrong...)
}

// unread is what is wrong with a body that says something to a request that has none; an empty object says nothing.
func unread(r *http.Request) []sup.FieldError {
	if r.Body == nil {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return []sup.FieldError{{Location: "body", Message: "this request has no body: send none, or {}"}}
	}
	var wrong []sup.FieldError
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		wrong = append(wrong, sup.FieldError{Location: name, Message: fmt.Sprintf("unknown field %q; this request has none", name)})
	}
	return wrong
}
