package rpc_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/supnode/supnode/test/await"
)

// lines collects what is logged from a level on.
type lines struct {
	mu sync.Mutex // guards buf
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Warn})
}

// await waits until a line says word.
func (l *lines) await(t *testing.T, word string) {
	t.Helper()
	await.True(t, "a log line that says "+word, func() bool { return strings.Contains(l.String(), word) })
}
