package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// step is an sh block, with the output block that follows it, if any.
type step struct {
	line   int // of the page
	run    string
	expect []string
}

// steps are the sh blocks of a page.
func steps(page string) (all []step) {
	kind, block, began := "", []string(nil), 0
	for i, line := range strings.Split(page, "\n") {
		switch {
		case kind == "" && strings.HasPrefix(line, "```"):
			kind, block, began = strings.TrimPrefix(line, "```")+" ", nil, i+1
		case kind != "" && line == "```":
			switch kind {
			case "sh ":
				all = append(all, step{line: began, run: strings.Join(block, "\n")})
			case "output ":
				all[len(all)-1].expect = block
			}
			kind = ""
		case kind != "":
			block = append(block, line)
		}
	}
	return all
}

const mark = "@@@ step"

// script runs the steps in one shell that stops at the first command that fails, with a mark before the output of each.
func script(all []step) string {
	var b strings.Builder
	b.WriteString("set -eu -o pipefail\nexec 2>&1\n")
	for i, s := range all {
		fmt.Fprintf(&b, "echo '%s %d'\n%s\n", mark, i, s.run)
	}
	fmt.Fprintf(&b, "echo '%s %d'\n", mark, len(all))
	return b.String()
}

// outputs splits what the script printed.
func outputs(printed string) (all [][]string) {
	for line := range strings.Lines(printed) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, mark) {
			all = append(all, nil)
		} else if len(all) > 0 {
			all[len(all)-1] = append(all[len(all)-1], line)
		}
	}
	return all
}

var spaces = regexp.MustCompile(`\s+`)

// fits reports whether lines are what is expected: … stands for anything within a line, or alone for any lines. How wide
// columns are does not count.
func fits(expect, lines []string) bool {
	if len(expect) == 0 {
		return len(lines) == 0
	}
	if expect[0] == "…" {
		for skip := 0; skip <= len(lines); skip++ {
			if fits(expect[1:], lines[skip:]) {
				return true
			}
		}
		return false
	}
	return len(lines) > 0 && fit(expect[0], lines[0]) && fits(expect[1:], lines[1:])
}

func fit(expect, line string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(spaces.ReplaceAllString(expect, " ")), "…", ".*")
	return regexp.MustCompile("^ ?" + pattern + " ?$").MatchString(spaces.ReplaceAllString(line, " "))
}
