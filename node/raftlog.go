package node

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// raftRepeats is how often Raft may say the same of the same server. It says what fails at each try, many times a second for
	// as long as a server is down.
	raftRepeats = time.Minute
	// maxRaftSaid bounds what is remembered of what Raft has said.
	maxRaftSaid = 256
)

// raftLog is a log in which repetitions are of level debug.
type raftLog struct {
	hclog.Logger

	mu   sync.Mutex           // guards said
	said map[string]time.Time // by message and subject
}

func newRaftLog(to hclog.Logger) *raftLog {
	return &raftLog{Logger: to, said: map[string]time.Time{}}
}

func (l *raftLog) Info(msg string, args ...any) { l.Log(hclog.Info, msg, args...) }

func (l *raftLog) Warn(msg string, args ...any) { l.Log(hclog.Warn, msg, args...) }

func (l *raftLog) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *raftLog) Log(level hclog.Level, msg string, args ...any) {
	if level >= hclog.Info && l.again(msg, args) {
		level = hclog.Debug
	}
	l.Logger.Log(level, msg, args...)
}

// again reports whether the same was said of the same subject, which is the first of args, less than raftRepeats ago.
func (l *raftLog) again(msg string, args []any) bool {
	if len(args) > 1 {
		msg += fmt.Sprint(" ", args[1])
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.said[msg]; ok && now.Sub(last) < raftRepeats {
		return true
	}
	if len(l.said) >= maxRaftSaid {
		clear(l.said)
	}
	l.said[msg] = now
	return false
}
