package yamlfile

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sup "github.com/supnode/supnode/supervisor"
)

type sample struct {
	Name   string            `yaml:"name"`
	Count  int               `yaml:"count"`
	On     bool              `yaml:"on"`
	Wait   *sup.Duration     `yaml:"wait"`
	Part   float64           `yaml:"part"`
	Tags   map[string]string `yaml:"tags"`
	Nested struct {
		Key string `yaml:"key"`
	} `yaml:"nested"`
	List []struct {
		ID   string            `json:"id"`
		Args []json.RawMessage `json:"args"`
		Sel  *sup.Selector     `json:"selector"`
	} `yaml:"list"`
}

func TestDecodeReadsYAMLAndJSON(t *testing.T) {
	for name, src := range map[string]string{
		"yaml":  "name: a\ncount: 3\non: true\nwait: 5s\ntags: {zone: a}\nnested:\n  key: |\n    two\n    lines\nlist:\n- id: x\n  args: [{command: /bin/sh, n: 1.5, deep: [null, <&>]}, \"s\"]\n  selector: {node: n2}\n",
		"json":  `{"name":"a","count":3,"on":true,"wait":"5s","tags":{"zone":"a"},"nested":{"key":"two\nlines\n"},"list":[{"id":"x","args":[{"command":"/bin/sh","n":1.5,"deep":[null,"<&>"]},"s"],"selector":{"node":"n2"}}]}`,
		"alias": "name: &n a\ncount: 3\non: true\nwait: 5s\ntags: &t {zone: *n}\nnested: {key: \"two\\nlines\\n\"}\nlist:\n- id: x\n  args: [{command: /bin/sh, n: 1.5, deep: [null, <&>]}, \"s\"]\n  selector: {node: n2}\n",
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse("f", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			var got sample
			if err := f.Decode(&got); err != nil {
				t.Fatal(err)
			}
			if got.Name != "a" || got.Count != 3 || !got.On || *got.Wait != 5e9 || got.Tags["zone"] != "a" || got.Nested.Key != "two\nlines\n" {
				t.Errorf("got %+v", got)
			}
			want := []string{`{"command":"/bin/sh","n":1.5,"deep":[null,"<&>"]}`, `"s"`}
			var args []string
			for _, a := range got.List[0].Args {
				args = append(args, string(a))
			}
			if diff := cmp.Diff(want, args); diff != "" {
				t.Error(diff)
			}
			if got.List[0].Sel.Node != "n2" {
				t.Errorf("selector %+v", got.List[0].Sel)
			}
		})
	}
}

func TestNumbersMayHaveAFraction(t *testing.T) {
	for src, want := range map[string]float64{"part: 1.5": 1.5, "part: 3": 3, "part: 18446744073709551615": 1 << 64, "part: 1e3": 1000, "part: 99999999999999999999": 1e20, "part: -2": -2} {
		f, err := Parse("f", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		var got sample
		if err := f.Decode(&got); err != nil || got.Part != want {
			t.Errorf("%s: %v, %v", src, got.Part, err)
		}
	}
}

// A JSON file is YAML too, and its numbers reach the cluster as they are written.
func TestNumbersStayAsTheyAreWritten(t *testing.T) {
	const src = `{"args":[1,-7,1.50,1e5,2E-3,99999999999999999999,0.1234567890123456789,"1e5","7"]}`
	f, err := Parse("f", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.JSON()); got != src {
		t.Errorf("%s\nbecame %s", src, got)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"unknown key with a near one", "name: a\ncuont: 3\n", `f:2:1: unknown key "cuont"; did you mean "count"?`},
		{"unknown key far from all", "zzzzzz: 1\n", `f:1:1: unknown key "zzzzzz"; known keys: name, count, on, wait, part, tags, nested, list`},
		{"unknown nested key", "nested: {kee: x}\n", `f:1:10: unknown key "kee" in nested; did you mean "key"?`},
		{"unknown key in a list", "list:\n  - id: x\n  - idd: y\n", `f:3:5: unknown key "idd" in list[1]; did you mean "id"?`},
		{"number for text", "name: 12\n", `f:1:7: name must be text, and 12 is the number 12; put it in quotes`},
		{"text for a number", "count: many\n", `f:1:8: count must be a whole number, not the text "many"`},
		{"a number beyond all", "count: 99999999999999999999\n", `f:1:8: count: 99999999999999999999 is too large`},
		{"a number below all", "count: -99999999999999999999\n", `f:1:8: count: -99999999999999999999 is too large`},
		{"a long number for text", "name: 99999999999999999999\n", `f:1:7: name must be text, and 99999999999999999999 is the number 99999999999999999999; put it in quotes`},
		{"a power for a number", "count: 1e3\n", `f:1:8: count must be a whole number, not the number 1e3`},
		{"a part beyond all", "part: 1e999\n", `f:1:7: part: 1e999 is too large`},
		{"fraction for a number", "count: 1.5\n", `f:1:8: count must be a whole number, not the number 1.5`},
		{"text for a boolean", "on: yes\n", `f:1:5: on must be true or false, not the text "yes"`},
		{"list for text", "name: [a]\n", `f:1:7: name must be text, not a list`},
		{"text for a list", "list: a\n", `f:1:7: list must be a list, not the text "a"`},
		{"list for a mapping", "nested: []\n", `f:1:9: nested must be a mapping (key: value), not a list`},
		{"list for tags", "tags: []\n", `f:1:7: tags must be a mapping (key: value), not a list`},
		{"bad duration", "wait: 5 seconds\n", `f:1:7: "5 seconds" is not a duration; write one like "250ms", "5s" or "infinity"`},
		{"list for a duration", "wait: []\n", `f:1:7: wait must be text, not a list`},
		{"bad selector", "list: [{id: x, selector: nearest}]\n", `f:1:26: unknown selector "nearest": a selector is "local_first", "round_robin", "least_loaded", "random", {"node": NAME}, {"node": NAME, "fallback": "least_loaded"} or {"custom": NAME}`},
		{"a number for a selector", "list: [{id: x, selector: 7}]\n", `f:1:26: 7 is no selector: a selector is "local_first", "round_robin", "least_loaded", "random", {"node": NAME}, {"node": NAME, "fallback": "least_loaded"} or {"custom": NAME}`},
		{"a list as the file", "- a\n", `f:1:1: the file must be a mapping (key: value), not a list`},
		{"a key twice", "name: a\nname: b\n", `f:2:1: this is not valid YAML: mapping key "name" already defined at [1:1]`},
		{"syntax", "name: [a\n", `f:1:7: this is not valid YAML: sequence end token ']' not found`},
		{"tab", "nested:\n\tkey: x\n", "f:2:1: this is not valid YAML: found character '\t' that cannot start any token"},
		{"two documents", "name: a\n---\nname: b\n", `f:3:1: a second document begins here; write one document a file`},
		{"merge key", "a: &x {b: 1}\n<<: *x\n", `f:2:1: merge keys (<<) are not supported; write the keys out`},
		{"text for a part", "part: half\n", `f:1:7: part must be a number, not the text "half"`},
		{"number as a key", "1: a\n", `f:1:1: keys are strings; put this one in quotes`},
		{"unknown alias", "name: *x\n", `f:1:7: nothing above is anchored as &x`},
		{"an alias of itself", "list: &x [*x]\n", `f:1:11: nothing above is anchored as &x`},
		{"infinity", "count: .inf\n", `f:1:8: .inf is not a number that can be used here`},
		{"not text", "name: \xff\n", `f:1:7: this is not UTF-8 text`},
		{"a tag", "name: !!str 1\n", `f:1:7: YAML's tag is not supported here`},
		{"nested too deeply", "name: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), `f:1:107: this is nested deeper than 100 levels`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse("f", []byte(c.src))
			if err == nil {
				var s sample
				err = f.Decode(&s)
			}
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("want Errors, got %v", err)
			}
			one := *errs[0]
			one.Excerpt = ""
			if got := one.Error(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAllErrorsAreToldInTheOrderOfTheFile(t *testing.T) {
	f, err := Parse("f", []byte("nam: a\ncount: x\nnested: {key: 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var s sample
	want := `f:1:1: unknown key "nam"; did you mean "name"?
    1 | nam: a
      | ^
f:2:8: count must be a whole number, not the text "x"
    2 | count: x
      |        ^
f:3:15: nested.key must be text, and 1 is the number 1; put it in quotes
    3 | nested: {key: 1}
      |               ^`
	if diff := cmp.Diff(want, f.Decode(&s).Error()); diff != "" {
		t.Error(diff)
	}
}

func TestABombOfAliasesIsRefused(t *testing.T) {
	src := "a0: &a0 [x]\n"
	for i := 1; i < 20; i++ {
		p := string(rune('a' + i - 1))
		if i == 1 {
			p = "a0"
		} else {
			p = "v" + p
		}
		src += "v" + string(rune('a'+i)) + ": &v" + string(rune('a'+i)) + " [" + strings.Repeat("*"+p+",", 9) + "*" + p + "]\n"
	}
	_, err := Parse("f", []byte(src))
	if err == nil || !strings.Contains(err.Error(), "values") {
		t.Fatalf("got %v", err)
	}
}

func TestAnExcerptMovesNothingOnATerminal(t *testing.T) {
	_, err := Parse("f", []byte("a: \"\x1b[2J\": b\n"))
	if err == nil || !strings.Contains(err.Error(), "a: \"\ufffd[2J\"") {
		t.Errorf("got %q", err)
	}
}

func TestErrorfFindsTheNearestPlace(t *testing.T) {
	f, err := Parse("f", []byte("children:\n  - id: a\n    restart: x\n  -\n    id: b\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"children[0].restart":  "f:3:14: m",
		"children[0].selector": "f:2:5: m",
		"children[1]":          "f:5:5: m",
		"children[7].id":       "f:1:1: m",
		"name":                 "f:1:1: m",
	} {
		e := f.Errorf(path, "m")
		e.Excerpt = ""
		if e.Error() != want {
			t.Errorf("%s: got %s, want %s", path, e, want)
		}
	}
	if !f.Has("children[1].id") || f.Has("children[1].restart") || f.Has("x") {
		t.Error("Has is wrong")
	}
}

func TestALongLineIsCutAroundThePlace(t *testing.T) {
	f, err := Parse("f", []byte("name: a\ntags: {"+strings.Repeat("k: v, ", 0)+strings.Repeat(" ", 300)+"zone: [1]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var s sample
	lines := strings.Split(f.Decode(&s).Error(), "\n")
	if len(lines) != 3 || len(lines[1]) > 140 {
		t.Fatalf("%q", lines)
	}
	if at := strings.Index(lines[2], "^"); lines[1][at] != '[' {
		t.Errorf("the mark stands below %q:\n%s\n%s", lines[1][at], lines[1], lines[2])
	}
}

func TestAnEmptyFileIsEmpty(t *testing.T) {
	for _, src := range []string{"", "# only a comment\n", "---\n"} {
		f, err := Parse("f", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		var s sample
		if err := f.Decode(&s); err != nil {
			t.Error(err)
		}
		if got := string(f.JSON()); got != "null" {
			t.Errorf("JSON is %s", got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a: [1, {b: c}]\n")
	f.Add("{\"a\": \"\\u00e4\"}")
	f.Fuzz(func(t *testing.T, src string) {
		file, err := Parse("f", []byte(src))
		if err != nil {
			return
		}
		if !json.Valid(file.JSON()) {
			t.Errorf("%q became %s", src, file.JSON())
		}
		var s sample
		_ = file.Decode(&s)
	})
}
