package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/cli/yamlfile"
)

// manifest is a file that a cluster is asked to carry out. The cluster judges it; the file knows where its words stand.
type manifest struct{ file *yamlfile.File }

// readManifest reads YAML or JSON from a file, or from stdin for "-".
func (c *command) readManifest(name string) (manifest, error) {
	var src []byte
	var err error
	if name == "-" {
		name = "stdin"
		src, err = io.ReadAll(io.LimitReader(c.In, yamlfile.MaxSize+1))
	} else {
		src, err = yamlfile.Read(name)
	}
	if err != nil {
		return manifest{}, usagef("read the manifest: %w", err)
	}
	f, err := yamlfile.Parse(name, src)
	return manifest{f}, err
}

func (m manifest) body() []byte { return m.file.JSON() }

// place adds to a refusal where in the file each wrong thing stands.
func (m manifest) place(err error) error {
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != "invalid_spec" || len(p.Errors) == 0 {
		return err
	}
	var wrong yamlfile.Errors
	for _, e := range p.Errors {
		message := e.Message
		if !m.file.Has(e.Location) {
			message = e.Location + ": " + message
		}
		wrong = append(wrong, m.file.Errorf(e.Location, "%s", message))
	}
	return refusedFile{p, wrong}
}

// refusedFile is a cluster's refusal of a file.
type refusedFile struct {
	problem *client.Problem
	wrong   yamlfile.Errors
}

func (e refusedFile) Error() string { return fmt.Sprintf("%s\n%s", e.problem.Title, e.wrong) }
