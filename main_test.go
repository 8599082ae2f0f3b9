package supnode_test

import (
	"testing"

	"github.com/supnode/supnode"
	"github.com/supnode/supnode/test/machine"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	supnode.Guard()
	machine.Alone()
	goleak.VerifyTestMain(m)
}
