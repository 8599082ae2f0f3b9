package bareraft

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// settings reads from a file what it assigns to fields of rc, what it sets in the literals of these types, and the constants
// that these name; all as it is written.
func settings(t *testing.T, file string, literals ...string) map[string]string {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	text := func(n ast.Node) string {
		var b bytes.Buffer
		if err := printer.Fprint(&b, fset, n); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	out, constants, named := make(map[string]string), make(map[string]string), make(map[string]bool)
	set := func(name string, value ast.Node) {
		out[name] = text(value)
		ast.Inspect(value, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				named[id.Name] = true
			}
			return true
		})
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if s, ok := l.(*ast.SelectorExpr); ok && text(s.X) == "rc" {
					set(text(l), n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			for i, v := range n.Values {
				constants[n.Names[i].Name] = text(v)
			}
		case *ast.CompositeLit:
			if n.Type == nil || !slices.Contains(literals, text(n.Type)) {
				break
			}
			for _, e := range n.Elts {
				kv := e.(*ast.KeyValueExpr)
				set(text(n.Type)+"."+text(kv.Key), kv.Value)
			}
		}
		return true
	})
	for c, v := range constants {
		if named[c] {
			out[c] = v
		}
	}
	return out
}

// TestConfigIsTheProducts holds that the bare Raft is configured as package node configures its own, setting by setting, so
// that a comparison of the two is one. Only how many entries a message may hold differs: the product has few under way.
func TestConfigIsTheProducts(t *testing.T) {
	const transport, bolt = "raft.NetworkTransportConfig", "bbolt.Options"
	node := filepath.Join("..", "..", "node")
	product, bare := settings(t, filepath.Join(node, "raft.go"), transport), settings(t, "config.go", transport, bolt)
	for k, v := range settings(t, filepath.Join(node, "store", "store.go"), bolt) {
		product[k] = v
	}
	for _, own := range []string{"rc.LocalID", "rc.NotifyCh", "rc.Logger", "maxAppendEntries", transport + ".Stream", transport + ".Logger", bolt + ".Timeout", "lockWait"} {
		delete(product, own)
		delete(bare, own)
	}
	if len(product) < 10 {
		t.Errorf("only %d settings found: this test looks in the wrong place", len(product))
	}
	if diff := cmp.Diff(product, bare); diff != "" {
		t.Errorf("the product (-) is configured otherwise than the bare Raft (+):\n%s", diff)
	}
}
