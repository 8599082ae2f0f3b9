// Command recheck judges kept histories again.
//
//	go run ./test/jepsen-lite/cmd/recheck DIR...
package main

import (
	"fmt"
	"os"

	"github.com/supnode/supnode/test/jepsen-lite/check"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: recheck DIR...")
		os.Exit(2)
	}
	ok := true
	for _, path := range os.Args[1:] {
		h, err := history.Load(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "recheck:", err)
			os.Exit(2)
		}
		report := check.All(h)
		fmt.Printf("%s: seed %d, %d rounds\n%s%s", path, h.Seed, len(h.Rounds), report, report.Doubts())
		ok = ok && report.OK()
	}
	if !ok {
		os.Exit(1)
	}
}
