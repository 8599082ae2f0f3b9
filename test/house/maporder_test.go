package house

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// exports finds the export data of everything that the core imports, as the build cache has it.
func exports(t *testing.T) importer.Lookup {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./fsm", "./node/leader", "./node/agent")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

// TestCoreRangesOverNoMap holds that no order of a map can show in the replicated state: the core ranges over no map at
// all, except where a line says why its order can't show.
func TestCoreRangesOverNoMap(t *testing.T) {
	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, "gc", exports(t))
	for _, dir := range []string{"supervisor", "fsm", "node/leader", "node/agent"} {
		var files []*ast.File
		path := filepath.Join("..", "..", filepath.FromSlash(dir))
		names, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range names {
			if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			f, err := parser.ParseFile(fset, filepath.Join(path, e.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		conf := types.Config{Importer: imp, Error: func(error) {}}
		conf.Check(module+"/"+dir, fset, files, info)
		seen := 0
		for _, f := range files {
			if !pure(dir + "/" + filepath.Base(fset.Position(f.Pos()).Filename)) {
				continue
			}
			excused := map[int]bool{}
			for _, g := range f.Comments {
				for _, c := range g.List {
					if strings.Contains(c.Text, "any order:") {
						excused[fset.Position(c.Pos()).Line] = true
					}
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				r, ok := n.(*ast.RangeStmt)
				if !ok {
					return true
				}
				tv, ok := info.Types[r.X]
				if !ok || tv.Type == nil {
					return true
				}
				seen++
				line := fset.Position(r.Pos()).Line
				if _, isMap := tv.Type.Underlying().(*types.Map); isMap && !excused[line] && !excused[line-1] {
					t.Errorf("%s ranges over a map; sort the keys, or say why in a comment that begins with \"any order:\"", fset.Position(r.Pos()))
				}
				return true
			})
		}
		if seen == 0 {
			t.Errorf("no range statement of %s was typed: this test sees nothing", dir)
		}
	}
}
