package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
	"pgregory.net/rapid"
)

// implemented are the strategies that the FSM carries out.
var implemented = []sup.Strategy{sup.OneForOne}

const autoShutdown = false

// TestModel plays random stories to the model and to the FSM. A difference prints the shortest story that shows it; put it
// into testdata as NAME.story and it is played for ever. -rapid.checks=N plays more of them, -rapid.steps=N longer ones.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { story(t, implemented) })
}

func story(t *rapid.T, strategies []sup.Strategy) {
	w, err := NewWorld()
	if err != nil {
		t.Fatal(err)
	}
	d := &Draw{T: t, Strategies: strategies, Auto: autoShutdown}
	t.Repeat(map[string]func(*rapid.T){"step": func(t *rapid.T) {
		d.T = t
		if err := d.Step(w); err != nil {
			t.Fatalf("the model and the FSM differ after\n\n%s\n\n%v", strings.Join(w.Story, "\n"), err)
		}
	}})
}

// TestStories plays what once showed a difference.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.story")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".story"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w, err := NewWorld()
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSpace(line)
				if line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				if err := w.Play(line); err != nil {
					t.Fatalf("after %q: %v", line, err)
				}
			}
		})
	}
}
