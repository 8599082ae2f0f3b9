package nemesis

import (
	"strings"
	"testing"
)

func TestFaultsAreWhole(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range All() {
		if f.Name == "" || f.Hit == nil || seen[f.Name] {
			t.Errorf("%q is nameless, toothless or there twice", f.Name)
		}
		seen[f.Name] = true
		if got := Named(f.Name); got.Name != f.Name {
			t.Errorf("Named(%q) is %q", f.Name, got.Name)
		}
		if f.Pause && !f.Takeover {
			t.Errorf("%s: without a takeover nobody writes before the stale write", f)
		}
	}
	for _, need := range []string{
		"kill-follower", "kill-leader", "kill-leader-and-successor", "kill-all", "kill-guardian-any", "term-leader", "term-follower", "drain-leader", "drain-follower",
		"pause-follower", "pause-leader", "pause-both-follower", "pause-both-leader", "isolate-follower", "isolate-leader",
		"mute-follower", "mute-leader", "deafen-follower", "deafen-leader",
	} {
		if !seen[need] {
			t.Errorf("no fault %s", need)
		}
	}
}

func TestAnUnknownFaultIsNamed(t *testing.T) {
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "earthquake") || !strings.Contains(text, "kill-leader") {
			t.Errorf("it says %q", text)
		}
	}()
	Named("earthquake")
}
