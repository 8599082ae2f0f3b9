package journal

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds the child program into dir and returns its path, free of symbolic links. It needs the go command and to
// be called from inside the module.
func Build(dir string) (path string, err error) {
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "child")
	out, err := exec.Command("go", "build", "-o", path, "github.com/supnode/supnode/test/jepsen-lite/journal/child").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build of the child program: %w\n%s", err, out)
	}
	return path, nil
}
