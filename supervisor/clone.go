package supervisor

import (
	"bytes"
	"encoding/json"
	"maps"
)

// Clone is a copy that shares nothing with c, for whoever may change it.
func (c ChildSpec) Clone() ChildSpec {
	if c.Args != nil {
		args := make([]json.RawMessage, len(c.Args))
		for i, a := range c.Args {
			args[i] = bytes.Clone(a)
		}
		c.Args = args
	}
	c.Selector, c.ShutdownTimeout, c.InitTimeout, c.Backoff = clone(c.Selector), clone(c.ShutdownTimeout), clone(c.InitTimeout), clone(c.Backoff)
	c.Require = maps.Clone(c.Require)
	if c.Supervisor != nil {
		tree := c.Supervisor.Clone()
		c.Supervisor = &tree
	}
	return c
}

// Clone is a copy that shares nothing with s.
func (s Spec) Clone() Spec {
	s.Selector, s.Intensity = clone(s.Selector), clone(s.Intensity)
	if s.Children != nil {
		children := make([]ChildSpec, len(s.Children))
		for i, c := range s.Children {
			children[i] = c.Clone()
		}
		s.Children = children
	}
	if s.ChildTemplate != nil {
		template := s.ChildTemplate.Clone()
		s.ChildTemplate = &template
	}
	return s
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
