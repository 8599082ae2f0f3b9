package supervisor

import "fmt"

// Valid reports whether a is one of the three values.
func (a AutoShutdown) Valid() bool {
	return a == NeverShutdown || a == AnySignificant || a == AllSignificant
}

// Stops decides whether a supervisor stops when a significant child has ended for good; left says that another one that is
// significant has not (S38).
func (a AutoShutdown) Stops(left bool) bool {
	return a == AnySignificant || a == AllSignificant && !left
}

// Warnings say what of a manifest has no effect although it can be started (S39).
func (s Spec) Warnings() []string {
	if s.AutoShutdown != "" && s.AutoShutdown != NeverShutdown {
		return nil
	}
	var ids []ChildID
	for _, c := range s.Children {
		if c.Significant {
			ids = append(ids, c.ID)
		}
	}
	if s.ChildTemplate != nil && s.ChildTemplate.Significant {
		return []string{"child_template: significant has no effect: simple_one_for_one has no auto_shutdown"}
	}
	if len(ids) == 0 {
		return nil
	}
	const shown = 5
	text := fmt.Sprintf("%q", ids[0])
	for _, id := range ids[1:min(len(ids), shown)] {
		text += fmt.Sprintf(", %q", id)
	}
	if len(ids) > shown {
		text += fmt.Sprintf(" and %d more", len(ids)-shown)
	}
	return []string{"significant has no effect on " + text + ": auto_shutdown is never; use any_significant or all_significant"}
}
