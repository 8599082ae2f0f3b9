package proxy

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

const foreignEnv = "PROXY_TEST_DIAL"

func TestMain(m *testing.M) {
	if addr := os.Getenv(foreignEnv); addr != "" {
		if _, err := net.Dial("tcp", addr); err != nil {
			os.Exit(1)
		}
		time.Sleep(time.Minute) // until the test kills it
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// foreign is another process that holds a connection to addr.
func foreign(t *testing.T, addr string) (pid int, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), foreignEnv+"="+addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, func() { cmd.Process.Kill(); cmd.Wait() }
}
