package yamlfile

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says what is wrong at one place of a file. Line and Column count from 1.
type Error struct {
	File         string
	Line, Column int
	Message      string
	Field        string // the path of the value it is about; empty: the file
	Excerpt      string // the line and a mark below the column; empty when the file is
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if e.Excerpt != "" {
		s += "\n" + e.Excerpt
	}
	return s
}

// Errors are all that is wrong with a file, in the order of the file.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// maxExcerpt bounds the width of an excerpt's line, in characters.
const maxExcerpt = 120

// excerpt shows a line of src with a mark below column; what would move something on a terminal stands as U+FFFD.
func excerpt(src string, line, column int) string {
	lines := strings.Split(src, "\n")
	if line < 1 || line > len(lines) || strings.TrimSpace(lines[line-1]) == "" {
		return ""
	}
	text := []rune(strings.TrimRight(lines[line-1], "\r"))
	column = min(max(column, 1), len(text)+1)
	if len(text) > maxExcerpt {
		from := max(0, min(column-1-maxExcerpt/2, len(text)-maxExcerpt))
		text, column = text[from:from+maxExcerpt], column-from
	}
	for i, r := range text {
		if unicode.IsControl(r) && r != '\t' {
			text[i] = utf8.RuneError
		}
	}
	number := fmt.Sprintf("%5d", line)
	pad := make([]rune, 0, column)
	for _, r := range text[:min(column-1, len(text))] {
		if r != '\t' {
			r = ' '
		}
		pad = append(pad, r)
	}
	return fmt.Sprintf("%s | %s\n%s | %s^", number, string(text), strings.Repeat(" ", utf8.RuneCountInString(number)), string(pad))
}
