package cluster

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds the supnode binary into dir and returns its path, free of symbolic links. It needs the go command and to
// be called from inside the module.
func Build(dir string, race bool) (path string, err error) {
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "supnode")
	args := []string{"build", "-o", path}
	if race {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/supnode/supnode/cmd/supnode")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build of supnode: %w\n%s", err, out)
	}
	return path, nil
}
