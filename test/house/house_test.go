// Package house holds the walls: who may import whom, and what the pure core may not mention.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/supnode/supnode"

// rooms lists the rooms from the top of the house down: a room imports only rooms below its own line.
var rooms = [][]string{
	{"bench"},
	{"test", "examples"},
	{"cmd"},
	{""}, // the front door, package supnode
	{"cli"},
	{"admin"},
	{"node"},
	{"node/agent/guardian", "node/agent/behaviors"},
	{"node/leader", "node/agent", "node/courier"},
	{"node/identity"},
	{"node/store", "node/clock"},
	{"rpc"},
	{"fsm"},
	{"supervisor", "actor"},
	{"actor/ref"},
}

// level is how far down the house a package is; the longest room that holds it counts.
func level(pkg string) int {
	best, at := -1, -1
	for i, line := range rooms {
		for _, r := range line {
			if (pkg == r || (r != "" && strings.HasPrefix(pkg, r+"/"))) && len(r) > best {
				best, at = len(r), i
			}
		}
	}
	return at
}

// only says which room may import a library; a room that is not named may not.
var only = map[string][]string{
	"github.com/hashicorp/raft":         {"fsm/raft.go", "node", "bench", "test"},
	"github.com/hashicorp/raft-boltdb/": {"node/store", "bench"},
	"go.etcd.io/bbolt":                  {"node/store", "node/identity", "bench"},
	"github.com/danielgtaylor/huma/":    {"admin"},
	"github.com/spf13/cobra":            {"cli", "test", "bench"},
	"github.com/goccy/go-yaml":          {"cli"},
}

type source struct {
	path string // slash-separated, from the root
	pkg  string
	test bool
	file *ast.File
}

func sources(t *testing.T) (all []source, fset *token.FileSet) {
	t.Helper()
	fset = token.NewFileSet()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root && d.Name() != ".." {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		pkg := filepath.ToSlash(filepath.Dir(rel))
		if pkg == "." {
			pkg = ""
		}
		all = append(all, source{path: rel, pkg: pkg, test: strings.HasSuffix(rel, "_test.go"), file: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d files found: this test looks in the wrong place", len(all))
	}
	return all, fset
}

func imports(f *ast.File) (paths []string) {
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

func TestImportsPointDown(t *testing.T) {
	all, _ := sources(t)
	for _, s := range all {
		if s.test {
			continue
		}
		from := level(s.pkg)
		if from < 0 {
			t.Errorf("%s: package %q has no room in the house", s.path, s.pkg)
		}
		for _, p := range imports(s.file) {
			if rest, ok := strings.CutPrefix(p, module); ok {
				to := strings.TrimPrefix(rest, "/")
				if to != s.pkg && level(to) <= from && !sameTopRoom(s.pkg, to) {
					t.Errorf("%s imports %s: arrows point down (architecture)", s.path, p)
				}
				continue
			}
			for lib, who := range only {
				if !strings.HasPrefix(p, lib) || strings.HasPrefix(p, "github.com/hashicorp/raft-boltdb/") && lib == "github.com/hashicorp/raft" {
					continue
				}
				if !slices.ContainsFunc(who, func(w string) bool { return s.path == w || s.pkg == w || strings.HasPrefix(s.pkg, w+"/") }) {
					t.Errorf("%s imports %s, which belongs to %v", s.path, p, who)
				}
			}
			if (s.pkg == "supervisor" || s.pkg == "actor") && strings.Contains(strings.Split(p, "/")[0], ".") {
				t.Errorf("%s imports %s: only the standard library", s.path, p)
			}
		}
	}
}

// sameTopRoom lets the packages of one room use each other; node is not one room but several.
func sameTopRoom(a, b string) bool {
	top := func(p string) string { return strings.SplitN(p, "/", 2)[0] }
	return top(a) == top(b) && top(a) != "node"
}

// shell are the files of the core's packages that drive it: goroutines, clocks and connections; of supervisor, what programs
// hold and wait with.
var shell = map[string][]string{
	"supervisor/":  {"handle"},
	"node/leader/": {"driver"},
	"node/agent/":  {"driver", "gate", "inbox", "link"},
}

// pure reports whether a file belongs to the pure core: the rules, the replicated state, and the two step machines.
func pure(path string) bool {
	dir, file := filepath.Split(path)
	if strings.HasSuffix(file, "_test.go") {
		return false
	}
	switch dir {
	case "fsm/":
		return file != "raft.go"
	case "supervisor/", "node/leader/", "node/agent/":
		return !slices.ContainsFunc(shell[dir], func(s string) bool { return strings.HasPrefix(file, s) })
	}
	return false
}

// TestCoreIsPure holds that the core has no clock, randomness, disk, network, goroutine or channel.
func TestCoreIsPure(t *testing.T) {
	all, fset := sources(t)
	banned := []string{"os", "net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "sync/atomic", "context", "syscall", "os/exec"}
	checked := 0
	for _, s := range all {
		if !pure(s.path) {
			continue
		}
		checked++
		for _, p := range imports(s.file) {
			if slices.Contains(banned, p) {
				t.Errorf("%s imports %s: the core is pure", s.path, p)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			bad := ""
			switch x := n.(type) {
			case *ast.GoStmt:
				bad = "go statement"
			case *ast.ChanType:
				bad = "channel"
			case *ast.SelectStmt:
				bad = "select statement"
			case *ast.SelectorExpr:
				if id, ok := x.X.(*ast.Ident); ok && id.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep", "NewTimer", "NewTicker", "Tick", "AfterFunc"}, x.Sel.Name) {
					bad = "time." + x.Sel.Name
				}
			}
			if bad != "" {
				t.Errorf("%s: %s in the pure core", fset.Position(n.Pos()), bad)
			}
			return true
		})
	}
	if checked < 15 {
		t.Fatalf("only %d files of the core found", checked)
	}
}
