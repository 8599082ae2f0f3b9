package supervisor

// The longest names, in bytes.
const (
	MaxNodeName       = 63
	MaxSupervisorName = 128
	MaxChildID        = 128
)

// Valid reports whether n matches [a-z0-9-]{1,63}.
func (n NodeName) Valid() bool {
	return matches(string(n), MaxNodeName, func(c byte, _ int) bool { return isLower(c) || isDigit(c) || c == '-' })
}

// Valid reports whether n matches [A-Za-z0-9_-]{1,128}.
func (n Name) Valid() bool {
	return matches(string(n), MaxSupervisorName, func(c byte, _ int) bool { return isWord(c) })
}

// Valid reports whether id matches [A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}.
func (id ChildID) Valid() bool {
	return matches(string(id), MaxChildID, func(c byte, i int) bool { return isWord(c) || c == '.' && i > 0 })
}

func matches(s string, longest int, ok func(c byte, i int) bool) bool {
	if s == "" || len(s) > longest {
		return false
	}
	for i := range len(s) {
		if !ok(s[i], i) {
			return false
		}
	}
	return true
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isWord(c byte) bool {
	return isLower(c) || isDigit(c) || 'A' <= c && c <= 'Z' || c == '_' || c == '-'
}
