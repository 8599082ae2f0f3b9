package guardian

import (
	"fmt"
	"path"
	"strings"
)

// Allow says which commands may run: globs on the resolved absolute path. None allows nothing.
type Allow []string

// Check says which glob cannot be understood.
func (a Allow) Check() error {
	for _, glob := range a {
		if !strings.HasPrefix(glob, "/") {
			return fmt.Errorf("exec.allow: %q is not absolute; a glob begins with /", glob)
		}
		for element := range strings.SplitSeq(glob[1:], "/") {
			if element != "**" && strings.Contains(element, "**") {
				return fmt.Errorf("exec.allow: %q has ** beside other characters; ** stands alone between slashes, as in /opt/**", glob)
			}
			if _, err := path.Match(element, ""); err != nil {
				return fmt.Errorf("exec.allow: %q: in %q a bracket or a backslash is not closed", glob, element)
			}
		}
	}
	return nil
}

// Permits says whether a glob matches the path: * within one element, ** across any number of them.
func (a Allow) Permits(file string) bool {
	if !strings.HasPrefix(file, "/") {
		return false
	}
	elements := strings.Split(file[1:], "/")
	for _, glob := range a {
		if strings.HasPrefix(glob, "/") && matches(strings.Split(glob[1:], "/"), elements) {
			return true
		}
	}
	return false
}

func matches(globs, elements []string) bool {
	for len(globs) > 0 {
		if globs[0] == "**" {
			for skip := range len(elements) + 1 {
				if matches(globs[1:], elements[skip:]) {
					return true
				}
			}
			return false
		}
		if len(elements) == 0 {
			return false
		}
		if ok, err := path.Match(globs[0], elements[0]); err != nil || !ok {
			return false
		}
		globs, elements = globs[1:], elements[1:]
	}
	return len(elements) == 0
}

func (a Allow) String() string {
	if len(a) == 0 {
		return "none"
	}
	return strings.Join(a, ", ")
}
