package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
)

// maxMessage bounds the value of a message, in bytes: what a node takes.
const maxMessage = 1 << 20

func (c *command) callChild() *cobra.Command {
	var timeout string
	cmd := &cobra.Command{
		Use: "call SUP CHILD TYPE [VALUE]", Short: "Call an actor child and print its answer", Args: takesMessage,
		Long: "Call an actor child and print its answer. VALUE is JSON, - is stdin; none is null. The call waits for the child to run, " +
			"and is carried out at most once.",
		Example: "  supnode children call pool w1 pool.process '{\"task\": 7}'\n" +
			"  supnode children call pool w1 pool.stats --timeout 30s",
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"type": args[2]}
			if timeout != "" {
				body["timeout"] = timeout
			}
			request, err := c.message("call", args, body)
			if err != nil {
				return err
			}
			return c.show(cmd.Context(), request, func(ans client.Answer) error {
				var is struct {
					Reply json.RawMessage `json:"reply"`
				}
				if err := ans.Into(&is); err != nil {
					return err
				}
				return writeIndented(c.Out, is.Reply)
			})
		},
	}
	cmd.Flags().StringVar(&timeout, "timeout", "", "how long to wait for the child to run and to answer (default 5s)")
	return cmd
}

func (c *command) castToChild() *cobra.Command {
	return &cobra.Command{
		Use: "cast SUP CHILD TYPE [VALUE]", Short: "Send an actor child a message without an answer", Args: takesMessage,
		Long:    "Send an actor child a message without an answer. VALUE is JSON, - is stdin; none is null. It is done when the message is queued.",
		Example: "  supnode children cast pool w1 pool.reset",
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := c.message("cast", args, map[string]any{"type": args[2]})
			if err != nil {
				return err
			}
			return c.show(cmd.Context(), request, func(client.Answer) error {
				if c.output == "table" {
					fmt.Fprintf(c.Out, "%s is queued for %s/%s\n", args[2], args[0], args[1])
				}
				return nil
			})
		},
	}
}

// takesMessage checks the arguments of call and cast.
func takesMessage(cmd *cobra.Command, args []string) error {
	if len(args) == 4 {
		args = args[:3]
	}
	return takes("SUP", "CHILD", "TYPE")(cmd, args)
}

// message is the request that sends a message.
func (c *command) message(kind string, args []string, body map[string]any) (client.Request, error) {
	request := client.Request{Method: http.MethodPost, Path: append(childPath(args[0], args[1]), kind), Light: true}
	if len(args) > 3 {
		value := []byte(args[3])
		if args[3] == "-" {
			var err error
			if value, err = io.ReadAll(io.LimitReader(c.In, maxMessage+1)); err != nil {
				return request, usagef("read the value: %w", err)
			}
			if len(value) > maxMessage {
				return request, usagef("the value has more than %d bytes", maxMessage)
			}
		}
		if value = bytes.TrimSpace(value); len(value) > 0 {
			if !json.Valid(value) {
				return request, usagef("the value is no JSON: %s", shortened(value))
			}
			body["value"] = json.RawMessage(value)
		}
	}
	var err error
	request.Body, err = json.Marshal(body)
	return request, err
}

// shortened is the beginning of what somebody typed; a text without its quotes is the usual mistake.
func shortened(value []byte) string {
	const most = 60
	text := string(value[:min(len(value), most)])
	if len(value) > most {
		return text + "…"
	}
	return fmt.Sprintf("%s (a text is written as '\"%s\"')", text, text)
}
