package cli_test

import (
	"context"
	"os"
	"testing"

	"github.com/supnode/supnode/cli"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/test/machine"
	"go.uber.org/goleak"
)

// asSupnode makes this test binary the supnode program.
const asSupnode = "SUPNODE_TEST_AS_SUPNODE"

func TestMain(m *testing.M) {
	guardian.RunIfGuardian()
	if os.Getenv(asSupnode) != "" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	machine.Alone()
	goleak.VerifyTestMain(m)
}
