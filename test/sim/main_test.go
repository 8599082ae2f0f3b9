package sim

import (
	"os"
	"testing"

	"github.com/supnode/supnode/test/machine"
)

func TestMain(m *testing.M) { os.Exit(machine.Run(m)) }
