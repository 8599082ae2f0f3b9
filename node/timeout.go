package node

import (
	"context"
	"time"
)

// DefaultLeaderTimeout is how long a request waits for a leader when its context does not say otherwise.
const DefaultLeaderTimeout = 10 * time.Second

type leaderTimeoutKey struct{}

// WithLeaderTimeout bounds how long Do and Read wait for a leader before they fail with no_leader.
// What a leader has accepted is waited for as long as ctx lives.
func WithLeaderTimeout(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, leaderTimeoutKey{}, d)
}

func leaderTimeout(ctx context.Context) time.Duration {
	if d, ok := ctx.Value(leaderTimeoutKey{}).(time.Duration); ok {
		return d
	}
	return DefaultLeaderTimeout
}
