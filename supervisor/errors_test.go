package supervisor

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// Every code has a type of its own, named for it, which says something.
func TestEveryCodeHasItsType(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Code") {
			return true
		}
		codes++
		text, _ := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		p := &Problem{Code: Code(text), Supervisor: "s", Child: "c", Node: "n1", Name: "x", Selector: "x", Reason: "r", Bound: 7, Strategy: OneForAll}
		typed := errors.Unwrap(p)
		if typed == nil {
			t.Errorf("%s has no type", text)
			return true
		}
		want := strings.TrimPrefix(v.Names[0].Name, "Code") + "Error"
		if got := reflect.TypeOf(typed).Elem().Name(); got != want {
			t.Errorf("%s is a %s, not a %s", text, got, want)
		}
		if typed.Error() == "" {
			t.Errorf("%s says nothing", text)
		}
		return true
	})
	if codes < 25 {
		t.Errorf("only %d codes found", codes)
	}
	if errors.Unwrap(&Problem{Code: "teapot"}) != nil {
		t.Error("a code of nobody has a type")
	}
}
