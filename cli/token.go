package cli

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/admin"
	"github.com/supnode/supnode/cli/config"
)

// tokenPrefix makes a token that turned up somewhere recognizable.
const tokenPrefix = "supnode_"

var roles = []string{string(admin.Viewer), string(admin.Operator), string(admin.Admin)}

// tokens makes what admin.tokens_file of a config file names.
func (c *command) tokens() *cobra.Command {
	var role, name, file string
	cmd := &cobra.Command{
		Use: "new --role ROLE", Short: "Make a bearer token for the HTTP API", Args: takes(),
		Long: "Prints a new token and the line that the tokens file of every node needs, which does not tell the token.\n" +
			"With --file the line is added to that file, and the token alone is printed: it is shown this once.",
		Example: "  supnode token new --role operator --name ci --file tokens.yaml",
		RunE: func(*cobra.Command, []string) error {
			if role == "" {
				return usagef("--role is missing: write %s", oneOf(roles))
			}
			return c.newToken(admin.Role(role), name, file)
		},
	}
	choose(cmd, &role, "role", "", "viewer (reads), operator (writes too) or admin (everything)", roles...)
	cmd.Flags().StringVar(&name, "name", "", "whose token it is, for people (default the role)")
	cmd.Flags().StringVar(&file, "file", "", "the tokens file that it is added to; made when there is none")
	c.prints(cmd)
	return group("token", "Make tokens for the HTTP API", cmd)
}

// newToken prints a token and its entry, or adds the entry to a file.
func (c *command) newToken(role admin.Role, name, file string) error {
	text := tokenPrefix + rand.Text()
	if name == "" {
		name = string(role)
	}
	entry := struct {
		Token  string `json:"token,omitempty"`
		Name   string `json:"name"`
		Role   string `json:"role"`
		SHA256 string `json:"sha256"`
	}{"", name, string(role), fmt.Sprintf("%x", admin.NewToken(name, role, text).Digest)}
	line, err := json.Marshal(entry) // JSON is YAML
	if err != nil {
		return err
	}
	if file != "" {
		if err := addLine(file, "- "+string(line)+"\n"); err != nil {
			return err
		}
	}
	switch entry.Token = text; {
	case c.output == "json":
		body, err := json.Marshal(entry)
		if err != nil {
			return err
		}
		return writeIndented(c.Out, body)
	case file != "":
		_, err = fmt.Fprintln(c.Out, text)
	default:
		_, err = fmt.Fprintf(c.Out, "token:            %s\nfor tokens_file:  - %s\n", text, line)
	}
	return err
}

// addLine adds an entry to a tokens file and takes it back when the file is not right with it.
func addLine(file, line string) error {
	before, err := os.ReadFile(file)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return fmt.Errorf("read the tokens file: %w", err)
	}
	text := string(before)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	next := file + ".new"
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.WriteFile(next, []byte(text+line), mode); err != nil {
		return fmt.Errorf("write the tokens file: %w", err)
	}
	defer os.Remove(next) // gone when it was renamed
	if _, _, err := config.LoadTokens(next); err != nil {
		return fmt.Errorf("%s would not be a list of tokens with one more; add the line yourself (without --file): %w", file, err)
	}
	return os.Rename(next, file)
}
