package cli

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a command says is shown, not obeyed.
func TestATextMovesNothingOnATerminal(t *testing.T) {
	var b bytes.Buffer
	if err := table(&b, [][]string{{"ID", "LAST EXIT"}, {"a", "error (\x1b[2J\ttab \a\u009b31mü)"}}); err != nil {
		t.Fatal(err)
	}
	if err := pairs(&b, [][2]string{{"reason", "a\x1b]0;title\x07\nb\r"}}); err != nil {
		t.Fatal(err)
	}
	want := `ID  LAST EXIT
a   error (\x1b[2J\ttab \a\u009b31mü)
reason  a\x1b]0;title\a
        b\r
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestATextOfSeveralLinesBreaksNoTable(t *testing.T) {
	var b bytes.Buffer
	if err := table(&b, [][]string{{"ID", "LAST EXIT", "NODE"}, {"a", "error (panic: x\nmain.go:1\n)", "n1"}, {"b", "", "n2"}}); err != nil {
		t.Fatal(err)
	}
	if err := pairs(&b, [][2]string{{"child", "a"}, {"last exit", "error (panic: x\nmain.go:1)"}}); err != nil {
		t.Fatal(err)
	}
	want := `ID  LAST EXIT          NODE
a   error (panic: x …  n1
b   -                  n2
child      a
last exit  error (panic: x
           main.go:1)
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
