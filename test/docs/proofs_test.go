package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Pages name the tests and scripts that show what they say. All of these exist, every rule of supervision has a script, and no
// script is left out. The name of a test is the beginning of some, as after -run; that of a script is when … ends it.
func TestWhatShowsAThingExists(t *testing.T) {
	tests, scripts := proofs(t)
	docs := filepath.Join("..", "..", "docs")
	pages, err := filepath.Glob(filepath.Join(docs, "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w*…?`).FindAllString(read(t, page), -1) {
			if len(named(strings.TrimSuffix(name, "…")+"…", tests)) == 0 {
				t.Errorf("%s: there is no test %s", page, name)
			}
		}
	}
	_, table, ok := strings.Cut(read(t, filepath.Join(docs, "supervision.md")), "## Which test shows a rule")
	if !ok {
		t.Fatal("no table says which test shows a rule")
	}
	for rule := 1; rule <= 45; rule++ {
		if messages := rule >= 40 && rule <= 43; !messages && !strings.Contains(scripted(table), fmt.Sprintf(" S%d ", rule)) {
			t.Errorf("the table names no script for S%d", rule)
		}
	}
	seen := make(map[string]bool)
	for _, name := range regexp.MustCompile(`\b[a-z]\w*(_\w*…?|…)`).FindAllString(namesOf(table), -1) {
		of := named(name, scripts)
		if len(of) == 0 {
			t.Errorf("there is no script %s", name)
		}
		for _, s := range of {
			seen[s] = true
		}
	}
	for _, s := range scripts {
		if !seen[s] && strings.Contains(s, "_") {
			t.Errorf("the table of the rules does not name script %s", s)
		}
	}
}

// scripted are the rules whose rows name a script, each between spaces.
func scripted(table string) string {
	var b strings.Builder
	for _, row := range regexp.MustCompile(`(?m)^\| (S[^|]*) \| [a-z]`).FindAllStringSubmatch(table, -1) {
		for part := range strings.SplitSeq(row[1], ", ") {
			var first, last int
			if n, _ := fmt.Sscanf(part, "S%d–S%d", &first, &last); n == 1 {
				last = first
			}
			for ; first <= last; first++ {
				fmt.Fprintf(&b, " S%d ", first)
			}
		}
	}
	return b.String()
}

// namesOf are the cells of tables in which scripts stand: all of one by strategy, else the second.
func namesOf(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		switch {
		case len(cells) == 5:
			b.WriteString(cells[2] + "\n")
		case len(cells) > 5:
			b.WriteString(strings.Join(cells[2:], "\n"))
		}
	}
	return b.String()
}

// named are those of all that a name of a page means.
func named(name string, all []string) (of []string) {
	prefix, several := strings.CutSuffix(name, "…")
	for _, s := range all {
		if s == name || several && strings.HasPrefix(s, prefix) {
			of = append(of, s)
		}
	}
	return of
}

// proofs are the tests of the module, and the scripts that play the rules.
func proofs(t *testing.T) (tests, scripts []string) {
	t.Helper()
	root := filepath.Join("..", "..")
	function := regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(read(t, path), -1) {
				tests = append(tests, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(root, "fsm", "testdata", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, p := range paths {
		scripts = append(scripts, strings.TrimSuffix(filepath.Base(p), ".txt"))
	}
	return tests, scripts
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
