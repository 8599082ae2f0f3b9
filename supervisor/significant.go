package supervisor

import (
	"fmt"
	"strings"
)

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
func (s Spec) Warnings() []string { return s.warnings("") }

func (s Spec) warnings(at string) (warnings []string) {
	const shown = 5
	var ids []string
	for _, c := range s.Children {
		if c.Supervisor != nil {
			warnings = append(warnings, c.Supervisor.warnings(at+string(c.ID)+"/")...)
		}
		if c.Significant && !s.AutoShutdown.Stops(false) {
			ids = append(ids, fmt.Sprintf("%q", at+string(c.ID)))
		}
	}
	if s.ChildTemplate != nil && s.ChildTemplate.Significant {
		warnings = append(warnings, at+"child_template: significant has no effect: simple_one_for_one has no auto_shutdown")
	}
	if more := len(ids) - shown; more > 0 {
		ids = append(ids[:shown], fmt.Sprintf("and %d more", more))
	}
	if len(ids) > 0 {
		text := strings.ReplaceAll(strings.Join(ids, ", "), ", and", " and")
		warnings = append(warnings, "significant has no effect on "+text+": auto_shutdown is never; use any_significant or all_significant")
	}
	return warnings
}
