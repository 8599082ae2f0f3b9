package check

import (
	"strings"
	"testing"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// call is one at a child, from one millisecond to another.
func call(client int, from, to history.Instant, kind, value string, more func(*history.Call)) history.Call {
	c := history.Call{Op: history.Op{Key: a, Kind: kind, Invoked: from * ms, Returned: to * ms, Outcome: history.OK}, Client: client, Value: value}
	if more != nil {
		more(&c)
	}
	return c
}

func inc(n uint64) func(*history.Call) {
	return func(c *history.Call) { c.Incarnation, c.Index = n, n }
}

func refused(code string) func(*history.Call) {
	return func(c *history.Call) { c.Outcome, c.Code = history.Refused, code }
}

func gone(c *history.Call)  { c.Code = "child_not_found" }
func maybe(c *history.Call) { c.Outcome = history.Maybe }

func TestOneOrderExplainsAllCalls(t *testing.T) {
	const read, start, restart, terminate = history.OpRead, history.OpStart, history.OpRestart, history.OpTerminate
	base := []history.Call{
		call(0, 0, 1, read, "", gone), call(0, 2, 10, start, "x", inc(5)), call(1, 11, 12, read, "x", inc(5)),
		call(2, 13, 14, start, "y", refused("duplicate_child")), call(3, 15, 16, read, "x", inc(5)), call(4, 17, 18, read, "x", inc(5)),
	}
	for name, x := range map[string]struct {
		calls []history.Call
		good  bool
	}{
		"a start is seen before it is answered":             {[]history.Call{call(1, 3, 4, read, "x", nil)}, true},
		"an acknowledged start is not seen":                 {[]history.Call{call(1, 20, 21, read, "", gone)}, false},
		"one that was refused is seen":                      {[]history.Call{call(1, 20, 21, read, "y", nil)}, false},
		"a second start of what is there":                   {[]history.Call{call(1, 20, 21, start, "z", inc(9))}, false},
		"a read goes back":                                  {[]history.Call{call(1, 20, 21, read, "x", inc(4))}, false},
		"a node is lost":                                    {[]history.Call{call(1, 20, 21, read, "x", inc(9))}, true},
		"two terminations wait for one stop":                {[]history.Call{call(1, 20, 30, terminate, "", nil), call(2, 21, 31, terminate, "", nil), call(3, 32, 33, read, "", gone)}, true},
		"a second termination of what is gone":              {[]history.Call{call(1, 20, 30, terminate, "", nil), call(2, 31, 40, terminate, "", nil)}, false},
		"an acknowledged termination has no effect":         {[]history.Call{call(1, 20, 30, terminate, "", nil), call(2, 31, 40, read, "x", nil)}, false},
		"one that is under way refuses a restart":           {[]history.Call{call(1, 20, 30, terminate, "", nil), call(2, 21, 22, restart, "", refused("child_not_found")), call(3, 23, 24, read, "x", nil)}, true},
		"a restart is refused for nothing":                  {[]history.Call{call(1, 20, 30, restart, "", refused("child_not_found"))}, false},
		"a restart begins no new run":                       {[]history.Call{call(1, 20, 30, restart, "x", inc(5))}, false},
		"a restart":                                         {[]history.Call{call(1, 20, 30, restart, "x", inc(9)), call(2, 31, 32, read, "x", inc(9))}, true},
		"what it began is not seen":                         {[]history.Call{call(1, 20, 30, restart, "x", inc(9)), call(2, 31, 32, read, "x", inc(5))}, false},
		"a termination without an answer takes effect late": {[]history.Call{call(1, 20, 30, terminate, "", maybe), call(2, 31, 32, read, "x", nil), call(3, 40, 41, read, "", gone)}, true},
		"and is not undone":                                 {[]history.Call{call(1, 20, 30, terminate, "", maybe), call(2, 31, 32, read, "", gone), call(3, 40, 41, read, "x", nil)}, false},
		"a start without an answer was too late":            {[]history.Call{call(1, 20, 30, start, "z", maybe), call(2, 31, 32, read, "x", nil)}, true},
		"a start that is terminated":                        {[]history.Call{call(1, 20, 25, terminate, "", nil), call(2, 26, 40, start, "z", refused("child_not_found")), call(3, 30, 35, terminate, "", nil), call(4, 41, 42, read, "", gone)}, true},
		"a start fails, and is seen meanwhile":              {[]history.Call{call(1, 20, 25, terminate, "", nil), call(2, 26, 40, start, "z", refused("no_available_node")), call(3, 30, 35, read, "z", nil), call(4, 41, 42, read, "", gone)}, true},
		"a start fails, and it is kept":                     {[]history.Call{call(1, 20, 25, terminate, "", nil), call(2, 26, 40, start, "z", refused("no_available_node")), call(3, 41, 42, read, "z", nil)}, false},
		"a client's state goes back":                        {[]history.Call{call(0, 20, 21, read, "x", func(c *history.Call) { c.Index = 4 })}, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := Linear(&history.History{Calls: append(append([]history.Call(nil), base...), x.calls...)})
			if v.OK() != x.good {
				t.Errorf("%d violated, %q", v.Violated, v.Examples)
			}
		})
	}
	v := Linear(&history.History{Calls: base[:4]})
	if v.OK() || !strings.Contains(v.Examples[0], "too little") {
		t.Errorf("three clients show enough: %q", v.Examples)
	}
}
