package model

import (
	"flag"
	"os"
	"testing"
)

// TestMain plays the same stories each time, so that a red run is about what was changed. A search plays others:
// go test ./test/model -rapid.seed=N, with -rapid.checks=N more of them.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.seed"); f.Value.String() == f.DefValue {
		if err := flag.Set("rapid.seed", "10"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
