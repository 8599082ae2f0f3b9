package rounds

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Registers is the supervisor whose children are started, restarted, terminated and read by many clients at once.
const Registers = "registers"

const (
	callers   = 6
	registers = 4
	callBound = 4 * time.Second // of one call; then its outcome is unknown
)

// CallRegisters has clients call until stop is closed, and waits for the last answers.
func (s *Stage) CallRegisters(ctx context.Context, stop <-chan struct{}) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			c := &caller{s: s, number: i, rand: rand.New(rand.NewPCG(s.Seed, uint64(100+i)))}
			names := s.Cluster.Names()
			c.rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			c.client = s.Cluster.Client(names...)
			defer c.client.Close()
			for ctx.Err() == nil {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(c.rand.Int64N(int64(20 * time.Millisecond)))):
					c.call(ctx)
				}
			}
		})
	}
	wg.Wait()
}

// caller is one client.
type caller struct {
	s      *Stage
	number int
	rand   *rand.Rand
	client *cluster.Client
	made   int
}

// call asks for something of some register.
func (c *caller) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	call := history.Call{Client: c.number}
	call.Key = history.Key{Supervisor: Registers, Child: fmt.Sprintf("r%d", 1+c.rand.IntN(registers))}
	path := "/v1/supervisors/" + Registers + "/children/" + call.Child
	var child cluster.Child
	var err error
	call.Invoked = history.Now()
	switch n := c.rand.IntN(100); {
	case n < 55:
		call.Kind = history.OpRead
		names := c.s.Cluster.Names()
		node := c.s.Cluster.Node(names[c.rand.IntN(len(names))])
		err = c.client.Once(ctx, "http://"+node.Admin, "GET", path, nil, nil, &child, "")
	case n < 75:
		call.Kind = history.OpStart
		c.made++
		call.Value = fmt.Sprintf("%d.%d", c.number, c.made)
		spec := c.s.Spec(call.Child)
		spec["args"].([]any)[0].(map[string]any)["env"] = map[string]string{"VALUE": call.Value}
		call.Attempts, err = c.client.Do(ctx, "POST", "/v1/supervisors/"+Registers+"/children", nil, spec, &child, c.s.key())
	case n < 85:
		call.Kind = history.OpRestart
		call.Attempts, err = c.client.Do(ctx, "POST", path+"/restart", nil, nil, &child, c.s.key())
	default:
		call.Kind = history.OpTerminate
		call.Attempts, err = c.client.Do(ctx, "DELETE", path, nil, nil, nil, c.s.key())
	}
	call.Returned = history.Now()
	call.Incarnation, call.Index = child.Incarnation, child.Index
	if len(child.Args) > 0 {
		call.Value = child.Args[0].Env["VALUE"]
	}
	var p *cluster.Problem
	switch {
	case err == nil:
		call.Outcome = history.OK
	case errors.As(err, &p) && p.Final():
		call.Outcome, call.Code, call.Detail = history.Refused, p.Code, p.Detail
	case call.Kind == history.OpRead:
		return
	default:
		call.Outcome, call.Detail = history.Maybe, err.Error()
	}
	if call.Kind == history.OpRead && call.Code == "child_not_found" { // an answer as good as any
		call.Outcome = history.OK
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.calls = append(c.s.calls, call)
}
