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
var implemented = []sup.Strategy{sup.OneForOne, sup.SimpleOneForOne, sup.OneForAll, sup.RestForOne}

const autoShutdown = true

// TestModel plays random stories to the model and to the FSM. A difference prints the shortest story that shows it; put it
// into testdata as NAME.story and it is played for ever. -rapid.checks=N plays more of them, -rapid.steps=N longer ones.
func TestModel(t *testing.T) {
	for _, strategy := range implemented {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			met := map[string]int{}
			rapid.Check(t, func(t *rapid.T) { story(t, met, 1, strategy) })
			// A story in which nothing happens proves nothing: each order has to have had each of its answers.
			for _, what := range []string{
				"start ok", "start refused", "stop ok", "stop pending", "stop refused", "add pending", "add refused",
				"terminate ok", "terminate pending", "terminate refused", "restart pending", "restart refused", "running ok", "running stale",
				"ended ok", "ended stale", "initfailed ok", "initfailed stale", "down ok", "leave ok", "left ok", "register ok", "again ok",
				"again pending", "again refused", "restart_intensity_exceeded", "child_migrated", "supervisor_stopped", "node_failure_detected",
				"apply ok", "apply pending", "apply refused", "rebalance ok", "move ok", "moved ok", "bump ok", "released ok",
			} {
				if met[what] == 0 && !t.Failed() {
					t.Errorf("%s did not happen in any story", what)
				}
			}
		})
	}
}

// TestModelMixed has supervisors of all strategies beside each other: one node's loss concerns them all.
func TestModelMixed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { story(t, map[string]int{}, 1, implemented...) })
}

// TestModelTrees has children that are supervisors, of all strategies, in trees of up to three levels.
func TestModelTrees(t *testing.T) {
	t.Parallel()
	met := map[string]int{}
	rapid.Check(t, func(t *rapid.T) { story(t, met, 3, implemented...) })
	for _, what := range []string{
		"tree child_started", "tree child_restarted", "tree child_stopped shutdown", "level 2 stopped by shutdown", "level 3 stopped by shutdown",
	} {
		if met[what] == 0 && !t.Failed() {
			t.Errorf("%s did not happen in any story", what)
		}
	}
}

func story(t *rapid.T, met map[string]int, levels int, strategies ...sup.Strategy) {
	w, err := NewWorld()
	if err != nil {
		t.Fatal(err)
	}
	w.Met = met
	d := &draw{t: t, strategies: strategies, auto: autoShutdown, levels: levels}
	check := func(t *rapid.T, err error) {
		if err != nil {
			t.Fatalf("the model and the FSM differ after\n\n%s\n\n%v", strings.Join(w.Story, "\n"), err)
		}
	}
	check(t, d.begin(w))
	t.Repeat(map[string]func(*rapid.T){"step": func(t *rapid.T) {
		d.t = t
		check(t, d.step(w))
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
