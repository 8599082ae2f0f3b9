package supervisor

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func shown(changes []Change) string {
	words := make([]string, len(changes))
	for i, c := range changes {
		words[i] = strings.TrimRight(fmt.Sprintf("%s %s %s %s>%s", c.Action, c.Child, strings.Join(c.Fields, "+"), c.From, c.To), " >")
	}
	return strings.Join(words, "; ")
}

func TestChangesAreTheDifferences(t *testing.T) {
	const now = `{"name": "pool", "children": [{"id": "a", "behavior": "x", "args": [{"k": 1, "l": [true]}]}, {"id": "b", "behavior": "x"}, {"id": "c", "behavior": "x"}]}`
	children := func(list string) string { return `{"name": "pool", "children": [` + list + `]}` }
	a, b, c := `{"id": "a", "behavior": "x", "args": [{"k": 1, "l": [true]}]}`, `{"id": "b", "behavior": "x"}`, `{"id": "c", "behavior": "x"}`
	for _, test := range []struct{ name, next, want string }{
		{"none", now, ""},
		{"what is said in other words", `{"name": "pool", "strategy": "one_for_one", "selector": "local_first", "children": [` +
			`{"id": "a", "behavior": "x", "restart": "permanent", "args": [ { "l" : [ true ], "k":1 } ]}, {"id": "b", "behavior": "x", "shutdown_timeout": "5000ms"}, ` + c + `]}`, ""},
		{"one more", children(a + "," + b + "," + c + `, {"id": "d", "behavior": "x"}`), "start d"},
		{"one more in between", children(a + `, {"id": "d", "behavior": "x"},` + b + "," + c), "reorder; start d"},
		{"one less", children(a + "," + c), "stop b"},
		{"none left", children(""), "stop c; stop b; stop a"},
		{"another order", children(c + "," + a + "," + b), "reorder"},
		{"all new", children(`{"id": "d", "behavior": "x"}`), "stop c; stop b; stop a; start d"},
		{"args", children(`{"id": "a", "behavior": "x", "args": [{"k": 1.0, "l": [true]}]},` + b + "," + c), "restart a args"},
		{"one arg more", children(a + `, {"id": "b", "behavior": "x", "args": [null]},` + c), "restart b args"},
		{"several fields", children(a + `, {"id": "b", "behavior": "y", "restart": "transient", "shutdown_timeout": "1s", "init_timeout": "1s", "significant": true, "selector": "random", "backoff": {}},` + c),
			"restart b behavior+restart+selector+shutdown_timeout+init_timeout+significant+backoff"},
		{"where it may run", children(a + `, {"id": "b", "behavior": "x", "require": {"zone": "a"}, "max_per_node": 2}, {"id": "c", "behavior": "x", "require": {}}`), "restart b require+max_per_node"},
		{"spread", `{"name": "pool", "spread": "zone", "children": [` + a + "," + b + "," + c + `]}`, `set  spread "">"zone"`},
		{"settings", `{"name": "pool", "selector": {"node": "n2"}, "restart_intensity": {"max_restarts": 9, "within": "1m"}, "auto_shutdown": "any_significant", "children": [` + a + "," + b + "," + c + `]}`,
			`set  selector "local_first">{"node":"n2"}; set  restart_intensity {"max_restarts":3,"within":"5s"}>{"max_restarts":9,"within":"1m0s"}; set  auto_shutdown "never">"any_significant"`},
		{"all together", `{"name": "pool", "selector": "random", "children": [` + c + `, {"id": "d", "behavior": "x"}, {"id": "a", "behavior": "y"}]}`,
			`stop b; set  selector "local_first">"random"; reorder; start d; restart a behavior+args`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := shown(parse(t, now).WithDefaults().Changes(parse(t, test.next).WithDefaults()))
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestChangesOfATemplateConcernEveryChild(t *testing.T) {
	now := parse(t, `{"strategy": "simple_one_for_one", "child_template": {"behavior": "x", "args": [1]}}`).WithDefaults()
	for n := range uint64(2) {
		now.Children = append(now.Children, now.ChildTemplate.Make(NthChild(n+1), [][]byte{[]byte("7")}))
	}
	for next, want := range map[string]string{
		`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x", "args": [1]}}`:                                        "",
		`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x", "args": [1]}, "max_children": 5}`:                     "set  max_children 0>5",
		`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x", "args": [2], "restart": "transient"}}`:                "set  child_template.args+child_template.restart; restart child_1 args+restart; restart child_2 args+restart",
		`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x", "args": [1]}, "restart_intensity": {"within": "9s"}}`: `set  restart_intensity {"max_restarts":3,"within":"5s"}>{"max_restarts":3,"within":"9s"}`,
	} {
		if got := shown(now.Changes(parse(t, next).WithDefaults())); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", next, got, want)
		}
	}
}

func TestCreationStartsAll(t *testing.T) {
	s := parse(t, `{"children": [{"id": "b", "behavior": "x"}, {"id": "a", "behavior": "x"}]}`)
	if got := shown(s.Creation()); got != "create; start b; start a" {
		t.Error(got)
	}
}

// The fields that Changes compares are those of the manifest: each has a name.
func TestAChangeNamesItsFields(t *testing.T) {
	for _, f := range differing(ChildSpec{}, ChildSpec{Behavior: "x", Args: []json.RawMessage{nil}, Restart: "r", Selector: LocalFirst, Significant: true}) {
		if f == "" || f == "-" {
			t.Errorf("a field without a name")
		}
	}
}
