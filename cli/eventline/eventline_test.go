package eventline

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

func TestManyLostChildrenAreCounted(t *testing.T) {
	var keys []sup.Key
	for i := range 10 {
		keys = append(keys, sup.Key{Supervisor: "pool", Child: sup.ChildID(fmt.Sprintf("w%d", i))})
	}
	for n, want := range map[int]string{
		0:  "n1 was lost with no children",
		1:  "n1 was lost with 1 child: pool/w0",
		2:  "n1 was lost with 2 children: pool/w0, pool/w1",
		10: "n1 was lost with 10 children: pool/w0, pool/w1, pool/w2, pool/w3, pool/w4, pool/w5, pool/w6, pool/w7, and 2 more",
	} {
		if got := About(sup.Event{Type: sup.EventNodeFailureDetected, Node: "n1", AffectedChildren: keys[:n]}); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestColourIsForTerminals(t *testing.T) {
	e := sup.Event{Type: sup.EventNodeLeft, Node: "n1", Time: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 3600))}
	var b bytes.Buffer
	if err := New(&b).Write(e); err != nil {
		t.Fatal(err)
	}
	if want := "02:04:05.678  node_left              n1\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	if err := (&Writer{out: &b, colour: true}).Write(e); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[90m02:04:05.678\x1b[0m  \x1b[33mnode_left            \x1b[0m  n1\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if New(f).colour {
		t.Error("a file is taken for a terminal")
	}
}

// A reason is a client's text: it is one line, and moves nothing on a terminal.
func TestAReasonIsShownAsItIs(t *testing.T) {
	var b bytes.Buffer
	if err := New(&b).Write(sup.Event{Type: sup.EventSupervisorStopped, Supervisor: "pool", Reason: "a\x1b[2J\nb"}); err != nil {
		t.Fatal(err)
	}
	if want := "00:00:00.000  supervisor_stopped     pool: a\\x1b[2J b\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// Every type that there is has a colour, and says something.
func TestEveryTypeIsTold(t *testing.T) {
	limit, within := 3, sup.Duration(5e9)
	for kind := range colours {
		e := sup.Event{Type: kind, Supervisor: "pool", Child: "w1", Node: "n1", FromNode: "n1", ToNode: "n2", Leader: "n1", MaxRestarts: &limit, Within: &within}
		if About(e) == "" {
			t.Errorf("%s says nothing", kind)
		}
	}
}
