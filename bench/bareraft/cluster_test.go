package bareraft

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/supnode/supnode/test/machine"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if IsNode() {
		if err := Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(machine.Run(m))
}

func TestClusterCommitsAndSurvivesItsLeader(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := Start(ctx, t.TempDir(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	load, err := c.Load(ctx, 3, 200*time.Millisecond, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(load.Took) == 0 || load.PerSecond() <= 0 {
		t.Errorf("nothing was committed: %+v", load)
	}
	old := c.leader
	took, err := c.Election(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if took <= 0 || c.leader == old {
		t.Errorf("%s was killed; %v later %s leads", old, took, c.leader)
	}
	if _, err := c.Load(ctx, 1, 50*time.Millisecond, 5*time.Millisecond); err != nil {
		t.Errorf("after the election: %v", err)
	}
}
