package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of constraints.
const (
	MaxRequired   = 16 // tags of one child
	MaxTagKey     = 128
	MaxTagValue   = 256
	MaxPerNodeTop = 1_000_000
)

// Unmet says which required tag a node does not have, "" when it has them all; tag looks one of its tags up.
func (c *ChildSpec) Unmet(tag func(key string) (value string, ok bool)) string {
	if len(c.Require) == 0 {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(c.Require)) {
		switch value, ok := tag(key); {
		case !ok:
			return fmt.Sprintf("it has no tag %s, and the child requires %s: %s", key, key, c.Require[key])
		case value != c.Require[key]:
			return fmt.Sprintf("its tag %s is %q, and the child requires %q", key, value, c.Require[key])
		}
	}
	return ""
}

// constraints checks what bounds the choice of nodes.
func (v *validator) constraints(at string, c ChildSpec) {
	if len(c.Require) > MaxRequired {
		v.add(at+"require", "%d tags are too many; a child may require %d", len(c.Require), MaxRequired)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Require)) {
		if why := BadTag(key, c.Require[key]); why != "" {
			v.add(at+"require", "%s", why)
		}
	}
	if c.MaxPerNode < 0 || c.MaxPerNode > MaxPerNodeTop {
		v.add(at+"max_per_node", "%d is not between 1 and %d", c.MaxPerNode, MaxPerNodeTop)
	}
}

func (v *validator) spread(at string, s Spec) {
	if s.Spread == "" {
		return
	}
	if why := BadTag(s.Spread, ""); why != "" {
		v.add(at+"spread", "%s", why)
	}
}

// BadTag says why a tag of a node can't be named so or have that value; "" when it can.
func BadTag(key, value string) string {
	if key != "" && len(key) <= MaxTagKey && len(value) <= MaxTagValue && utf8.ValidString(key) && utf8.ValidString(value) {
		return ""
	}
	return fmt.Sprintf("%q: %q is no tag: its name is text of 1 to %d bytes, its value of at most %d", key, value, MaxTagKey, MaxTagValue)
}

// validLabel reports whether a name is text without spaces and control characters, of 1 to limit bytes.
func validLabel(name string, limit int) bool {
	return name != "" && len(name) <= limit && !strings.ContainsFunc(name, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}
