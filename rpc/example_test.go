package rpc_test

import (
	"context"
	"fmt"

	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

func Example() {
	n1, err := rpc.Open(rpc.Config{Node: "n1", Listen: "127.0.0.1:0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n1.Close()
	n1.Handle("greet", func(_ context.Context, from sup.NodeName, body []byte) (any, error) {
		var word string
		if err := rpc.Decode(body, &word); err != nil {
			return nil, err
		}
		return fmt.Sprintf("%s, %s", word, from), nil
	})

	n2, err := rpc.Open(rpc.Config{Node: "n2", Listen: "127.0.0.1:0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n2.Close()
	var answer string
	err = n2.Call(context.Background(), n1.Advertise(), "n1", "greet", "hello", &answer)
	fmt.Println(answer, err)
	// Output: hello, n2 <nil>
}
