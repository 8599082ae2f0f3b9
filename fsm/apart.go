package fsm

import (
	"fmt"
	"strings"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// maxApart bounds what Apart says.
const maxApart = 20

// Apart says, for people, where a supervisor is not as its manifest says although an ApplyManifest with these changes does
// nothing there: children that it leaves alone and that do not run, and supervisors among them whose children were started or
// terminated by hand.
func (s *State) Apart(n sup.Name, changes []sup.Change) []string {
	t := s.trees.get(n)
	if t == nil || t.head.Status == sup.StatusStopped {
		return nil
	}
	concerned := map[sup.ChildID]bool{}
	for _, c := range changes {
		concerned[c.Child] = true
	}
	words := s.apart(t, concerned, nil)
	if more := len(words) - maxApart; more > 0 {
		words = append(words[:maxApart], fmt.Sprintf("and %d more like these", more))
	}
	return words
}

func (s *State) apart(t *tree, concerned map[sup.ChildID]bool, words []string) []string {
	for c := range t.children.all() {
		if concerned[c.Key.Child] {
			continue
		}
		i := c.info(s.clock, s.wall, s.Selector(c))
		switch i.Status {
		case sup.StatusRunning, sup.StatusStarting, sup.StatusExited: // one that has ended well is to stay so (S2)
		case sup.StatusPending:
			words = append(words, fmt.Sprintf("child %s waits for a node: %s", c.Key, i.PendingReason))
		case sup.StatusBackoff:
			words = append(words, fmt.Sprintf("child %s fails, and starts again at %s", c.Key, i.RetryAt.UTC().Format(time.RFC3339)))
		default:
			words = append(words, fmt.Sprintf("child %s does not run, it is %s", c.Key, i.Status))
		}
		if !c.IsSupervisor() || i.Status != sup.StatusRunning {
			continue
		}
		sub := s.trees.get(c.Key.Supervisor.Sub(c.Key.Child))
		if what := sub.otherChildren(c.Spec.Supervisor); what != "" {
			words = append(words, fmt.Sprintf("supervisor %s runs %s, otherwise than its manifest says; that is unchanged, so it is left alone: restart child %s of %s to have all as the manifest says",
				sub.head.Name, what, c.Key.Child, c.Key.Supervisor))
		}
		words = s.apart(sub, nil, words)
	}
	return words
}

// otherChildren says which children of a supervisor are not there that its manifest names, and which are that it does not name.
// A temporary one that is not there has come to its end (S3).
func (t *tree) otherChildren(spec *sup.Spec) string {
	if t.head.simple() {
		return ""
	}
	named := make(map[sup.ChildID]bool, len(spec.Children))
	var gone, added []string
	for _, c := range spec.Children {
		if named[c.ID] = true; t.children.get(c.ID) == nil && c.Restart != sup.Temporary {
			gone = append(gone, string(c.ID))
		}
	}
	for c := range t.children.all() {
		if !named[c.Key.Child] {
			added = append(added, string(c.Key.Child))
		}
	}
	var words []string
	for _, l := range []struct {
		how string
		ids []string
	}{{"without ", gone}, {"with ", added}} {
		if more := len(l.ids) - maxApart; more > 0 {
			l.ids = append(l.ids[:maxApart], fmt.Sprintf("%d more", more))
		}
		if len(l.ids) > 0 {
			words = append(words, l.how+strings.Join(l.ids, ", "))
		}
	}
	return strings.Join(words, " and ")
}
