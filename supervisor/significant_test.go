package supervisor

import (
	"fmt"
	"slices"
	"testing"
)

func TestAutoShutdown(t *testing.T) { // S38
	for _, c := range []struct {
		a    AutoShutdown
		left bool
		want bool
	}{
		{"", false, false}, {NeverShutdown, false, false}, {AnySignificant, true, true}, {AnySignificant, false, true},
		{AllSignificant, true, false}, {AllSignificant, false, true},
	} {
		if got := c.a.Stops(c.left); got != c.want {
			t.Errorf("%s with others left=%t: %t", c.a, c.left, got)
		}
	}
}

func TestS39SignificantWithoutAutoShutdownIsWarnedOf(t *testing.T) {
	s := Spec{Children: []ChildSpec{{ID: "a", Significant: true}, {ID: "b"}}}
	want := []string{`significant has no effect on "a": auto_shutdown is never; use any_significant or all_significant`}
	if got := s.Warnings(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	s.AutoShutdown = AllSignificant
	if got := s.Warnings(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	s.AutoShutdown, s.Children = NeverShutdown, nil
	for i := range 9 {
		s.Children = append(s.Children, ChildSpec{ID: ChildID(fmt.Sprintf("w%d", i)), Significant: true})
	}
	want = []string{`significant has no effect on "w0", "w1", "w2", "w3", "w4" and 4 more: auto_shutdown is never; use any_significant or all_significant`}
	if got := s.Warnings(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, significant := range []bool{true, false} {
		if got := (Spec{Strategy: SimpleOneForOne, ChildTemplate: &ChildSpec{Significant: significant}}).Warnings(); (len(got) == 1) != significant {
			t.Errorf("a template, significant=%t: %q", significant, got)
		}
	}
}
