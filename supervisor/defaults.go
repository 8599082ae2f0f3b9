package supervisor

// The defaults of api.md §4.
const (
	DefaultShutdownTimeout Duration = 5e9
	DefaultInitTimeout     Duration = 30e9
)

// DefaultIntensity is the restart intensity of a manifest that names none.
var DefaultIntensity = Intensity{MaxRestarts: 3, Within: 5e9}

// WithDefaults is s with its defaults filled in. It shares nothing with s that it changes.
func (s Spec) WithDefaults() Spec {
	if s.Selector == nil {
		s.Selector = LocalFirst
	}
	return s.filled()
}

// filled is s with its defaults filled in, all but the selector: that of a sub-supervisor is its parent's.
func (s Spec) filled() Spec {
	if s.Strategy == "" {
		s.Strategy = OneForOne
	}
	if s.Intensity == nil {
		in := DefaultIntensity
		s.Intensity = &in
	} else if s.Intensity.Within == 0 {
		in := Intensity{MaxRestarts: s.Intensity.MaxRestarts, Within: DefaultIntensity.Within}
		s.Intensity = &in
	}
	if s.AutoShutdown == "" {
		s.AutoShutdown = NeverShutdown
	}
	if s.Children != nil {
		children := make([]ChildSpec, len(s.Children))
		for i, c := range s.Children {
			children[i] = c.WithDefaults()
		}
		s.Children = children
	}
	if s.ChildTemplate != nil {
		t := s.ChildTemplate.WithDefaults()
		s.ChildTemplate = &t
	}
	return s
}

// WithDefaults is c with its defaults filled in. A nil Selector stays: it means the supervisor's. A sub-supervisor has no
// time-outs of its own: it stops when its children have.
func (c ChildSpec) WithDefaults() ChildSpec {
	if c.Restart == "" {
		c.Restart = Permanent
	}
	if c.Supervisor != nil {
		s := c.Supervisor.filled()
		c.Supervisor = &s
		return c
	}
	if c.ShutdownTimeout == nil {
		d := DefaultShutdownTimeout
		c.ShutdownTimeout = &d
	}
	if c.InitTimeout == nil {
		d := DefaultInitTimeout
		c.InitTimeout = &d
	}
	if len(c.Require) == 0 {
		c.Require = nil // as it reads back
	}
	if c.Backoff != nil {
		b := c.Backoff.WithDefaults()
		c.Backoff = &b
	}
	return c
}
