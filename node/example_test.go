package node_test

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/supervisor"
)

// A program that is one of three servers; the examples of package supnode run.
func ExampleStart() {
	behaviors := actor.NewRegistry()
	behaviors.Register(actor.New("worker", func(c *actor.Context, _ struct{}) (int, error) { return 0, nil }))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	n, err := node.Start(ctx, node.Config{
		Name: "n1", DataDir: "/var/lib/myprog",
		Servers: []node.Server{{Name: "n1", Addr: "10.0.0.1:7101"}, {Name: "n2", Addr: "10.0.0.2:7101"}, {Name: "n3", Addr: "10.0.0.3:7101"}},
		RPC:     node.RPCConfig{Listen: "10.0.0.1:7101", TLS: &node.TLSFiles{CA: "ca.pem", Cert: "n1.pem", Key: "n1-key.pem"}},
		Tags:    map[string]string{"zone": "a"}, Behaviors: behaviors,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer n.OnLifecycleEvent(func(e supervisor.Event) { log.Print(e.Type, " ", e.Child) })()
	select {
	case <-ctx.Done():
		err = n.Leave(context.Background()) // hands the children over first
	case <-n.Done():
		err = n.Err()
	}
	if err != nil {
		log.Print(err)
	}
}
