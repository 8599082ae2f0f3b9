package yamlfile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxSize bounds a file, MaxValues the values in it (aliases count as what they stand for), MaxDepth their nesting.
const (
	MaxSize   = 16 << 20
	MaxValues = 1_000_000
	MaxDepth  = 100
)

// File is a parsed file.
type File struct {
	name string
	src  string
	root *value // nil: the file is empty
}

// place is a position in the file, counted from 1.
type place struct{ line, column int }

type kind uint8

const (
	null kind = iota
	scalar
	sequence
	mapping
)

// value is one node of the file, aliases resolved.
type value struct {
	kind   kind
	at     place
	scalar any // string, bool, int64, uint64, float64, or json.Number: as it is written
	text   string
	items  []*value
	fields []field
}

type field struct {
	key   string
	at    place
	value *value
}

func (v *value) field(key string) *field {
	for i := range v.fields {
		if v.fields[i].key == key {
			return &v.fields[i]
		}
	}
	return nil
}

// Read takes in a file, one byte more than Parse accepts at most: what has no end, like a device, is refused too.
func Read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// Parse parses a YAML or JSON file; name is used in errors. The error is an Errors.
func Parse(name string, src []byte) (*File, error) {
	f := &File{name: name, src: string(src)}
	if len(src) > MaxSize {
		return nil, Errors{(&File{name: name}).at(place{1, 1}, "the file has more than %d bytes, which are read at most", MaxSize)}
	}
	if i := invalidUTF8(f.src); i >= 0 {
		before := f.src[:i]
		line := 1 + strings.Count(before, "\n")
		column := 1 + utf8.RuneCountInString(before[strings.LastIndex(before, "\n")+1:])
		return nil, Errors{f.at(place{line, column}, "this is not UTF-8 text")}
	}
	tree, err := parser.ParseBytes(src, 0)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			p := syntax.Token.Position
			return nil, Errors{f.at(place{p.Line, p.Column}, "this is not valid YAML: %s", syntax.Message)}
		}
		return nil, Errors{f.at(place{1, 1}, "this is not valid YAML: %s", firstLine(err.Error()))}
	}
	r := reader{file: f, anchors: map[string]ast.Node{}}
	for _, d := range tree.Docs {
		if d.Body == nil {
			continue
		}
		if f.root != nil {
			return nil, Errors{f.at(start(d.Body), "a second document begins here; write one document a file")}
		}
		f.root = r.read(d.Body, 0)
	}
	if len(r.errs) > 0 {
		return nil, r.errs
	}
	return f, nil
}

// Errorf makes an error at the value that path names ("cluster.servers[0].addr"), or at the nearest place above it
// that the file has.
func (f *File) Errorf(path, format string, args ...any) *Error {
	at, _ := f.find(path)
	e := f.at(at, format, args...)
	e.Field = path
	return e
}

// Has reports whether the file says anything but null at path.
func (f *File) Has(path string) bool {
	_, found := f.find(path)
	return found
}

func (f *File) at(p place, format string, args ...any) *Error {
	return &Error{File: f.name, Line: p.line, Column: p.column, Message: fmt.Sprintf(format, args...),
		Excerpt: excerpt(f.src, p.line, p.column)}
}

// find walks to path as far as the file goes. A value that is missing is found at the key of the one it belongs in.
func (f *File) find(path string) (at place, found bool) {
	at = place{1, 1}
	v := f.root
	for _, step := range steps(path) {
		if v == nil {
			return at, false
		}
		if step.index >= 0 {
			if v.kind != sequence || step.index >= len(v.items) {
				return at, false
			}
			v = v.items[step.index]
			at = v.at
			continue
		}
		fd := v.field(step.key)
		if fd == nil {
			return at, false
		}
		v = fd.value
		at = fd.at
	}
	if v == nil || v.kind == null {
		return at, false
	}
	return v.at, true
}

type step struct {
	key   string
	index int // -1: key
}

// steps takes "a.b[2].c" apart.
func steps(path string) []step {
	var out []step
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' }) {
		var i int
		if n, err := fmt.Sscanf(part, "%d]", &i); n == 1 && err == nil {
			out = append(out, step{index: i})
		} else {
			out = append(out, step{key: part, index: -1})
		}
	}
	return out
}

// jsonNumber is a number in JSON.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// reader turns the parser's tree into values.
type reader struct {
	file    *File
	anchors map[string]ast.Node
	count   int
	errs    Errors
}

func (r *reader) refuse(n ast.Node, format string, args ...any) *value {
	p := start(n)
	r.errs = append(r.errs, r.file.at(p, format, args...))
	return &value{at: p}
}

func (r *reader) read(n ast.Node, depth int) *value {
	r.count++
	if r.count == MaxValues {
		return r.refuse(n, "the file has more than %d values", MaxValues)
	}
	if r.count > MaxValues {
		return &value{at: start(n)}
	}
	if depth > MaxDepth {
		return r.refuse(n, "this is nested deeper than %d levels", MaxDepth)
	}
	v := &value{at: start(n), kind: scalar}
	switch n := n.(type) {
	case *ast.NullNode:
		v.kind = null
	case *ast.BoolNode:
		v.scalar, v.text = n.Value, n.GetToken().Value
	case *ast.IntegerNode:
		v.scalar, v.text = n.Value, n.GetToken().Value
	case *ast.FloatNode:
		v.scalar, v.text = n.Value, n.GetToken().Value
		if jsonNumber.MatchString(v.text) {
			v.scalar = json.Number(v.text)
		}
	case *ast.StringNode:
		v.scalar, v.text = n.Value, n.Value
		if n.GetToken().Type == token.StringType && jsonNumber.MatchString(v.text) { // one that the parser takes for text: 1e5, or a long one
			v.scalar = json.Number(v.text)
		}
	case *ast.LiteralNode:
		v.scalar, v.text = n.Value.Value, n.Value.Value
	case *ast.SequenceNode:
		v.kind = sequence
		for _, item := range n.Values {
			v.items = append(v.items, r.read(item, depth+1))
		}
	case *ast.MappingNode:
		v.kind = mapping
		for _, kv := range n.Values {
			r.readField(v, kv, depth)
		}
	case *ast.MappingValueNode:
		v.kind = mapping
		r.readField(v, n, depth)
	case *ast.AnchorNode:
		r.anchors[n.Name.GetToken().Value] = n.Value
		return r.read(n.Value, depth)
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		target := r.anchors[name]
		if target == nil {
			return r.refuse(n, "nothing above is anchored as &%s", name)
		}
		delete(r.anchors, name) // an alias within its own anchor has no end
		out := *r.read(target, depth+1)
		r.anchors[name] = target
		out.at = v.at
		return &out
	case *ast.InfinityNode, *ast.NanNode:
		return r.refuse(n, "%s is not a number that can be used here", n.GetToken().Value)
	default:
		return r.refuse(n, "YAML's %s is not supported here", strings.ToLower(n.Type().YAMLName()))
	}
	return v
}

func (r *reader) readField(v *value, kv *ast.MappingValueNode, depth int) {
	key, ok := kv.Key.(*ast.StringNode)
	if !ok {
		what := "keys are strings; put this one in quotes"
		if kv.Key.IsMergeKey() {
			what = "merge keys (<<) are not supported; write the keys out"
		}
		r.refuse(kv.Key, "%s", what)
		return
	}
	v.fields = append(v.fields, field{key: key.Value, at: start(key), value: r.read(kv.Value, depth+1)})
}

// start is where a node begins in the file: of a block mapping, its first key.
func start(n ast.Node) place {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return start(m.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return start(m.Key)
	}
	p := n.GetToken().Position
	return place{max(p.Line, 1), max(p.Column, 1)}
}

func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// Sorted puts errors in the order of the file.
func (e Errors) Sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}
