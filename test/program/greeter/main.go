// Command greeter is a full supnode whose nodes can run the behavior greeter. Each of its actors notes in a file, named by its
// args, where it starts: node, incarnation and process.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/supnode/supnode"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/supervisor"
)

// Greet is answered with a greeting to whoever is named.
var Greet = actor.DefineCall[string, string]("greeter.greet")

type args struct {
	Notes    string `json:"notes"`
	Greeting string `json:"greeting"`
}

func greeter() actor.Behavior {
	b := actor.New("greeter", func(c *actor.Context, a args) (string, error) {
		f, err := os.OpenFile(a.Notes, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return "", err
		}
		defer f.Close()
		_, err = fmt.Fprintf(f, "%s %d %d\n", c.Node(), c.Incarnation(), os.Getpid())
		return a.Greeting, err
	})
	actor.OnCall(b, Greet, func(_ *actor.Context, greeting, name string) (string, error) { return greeting + ", " + name, nil })
	return b
}

func main() {
	notes := os.Getenv("GREETER_BESIDE")
	if notes == "" {
		supnode.Main(greeter())
	}
	behaviors := actor.NewRegistry()
	behaviors.Register(greeter())
	supnode.MainWith(supnode.Program{Behaviors: behaviors, Beside: func(ctx context.Context, n *node.Node) error {
		own, err := supervisor.Start(ctx, n, supervisor.Options{Name: supervisor.Name("of-" + n.Name()),
			Children: []supervisor.ChildSpec{{ID: "one", Behavior: "greeter", Args: supervisor.Args(args{Notes: notes, Greeting: "hello"})}}})
		if err != nil {
			return err
		}
		one, err := own.Child(ctx, "one")
		if err != nil {
			return err
		}
		text, err := Greet.Call(ctx, one.Ref, string(n.Name()))
		if err != nil {
			return err
		}
		fmt.Println(text)
		<-ctx.Done()
		return own.Stop(context.WithoutCancel(ctx), "its program leaves")
	}})
}
