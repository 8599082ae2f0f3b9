package courier

import (
	"testing"
	"testing/synctest"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/rpc"
)

// Of who asks without taking the answers no more is read until it does, or is gone: what waits for it stays bounded.
func TestWhoTakesNoAnswersIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Node: "b"})
		defer c.Close()
		c.Use(actor.NewSystem(actor.Options{Node: "b", Registry: actor.NewRegistry(), Router: c}))
		defer c.system.Close()
		for _, full := range []struct {
			count, size int
		}{{maxAnswers, 0}, {MaxQueuedBytes / MaxValue, MaxValue}} {
			in := &inlet{c: c, kick: make(chan struct{}, 1), room: make(chan struct{}, 1), mute: make(chan struct{})}
			value := make([]byte, full.size)
			for range full.count {
				if !in.awaitRoom() {
					t.Fatal("there is room")
				}
				in.answer(rpc.Answer{Value: value})
			}
			reads := make(chan bool, 2)
			go func() { reads <- in.awaitRoom() }()
			if synctest.Wait(); len(reads) != 0 {
				t.Fatal("more is read")
			}
			in.take()
			if synctest.Wait(); len(reads) != 1 || !<-reads {
				t.Fatal("it is read on when some were taken")
			}
			for range full.count {
				in.answer(rpc.Answer{Value: value})
			}
			go func() { reads <- in.awaitRoom() }()
			close(in.mute)
			if synctest.Wait(); len(reads) != 1 || <-reads {
				t.Fatal("who is gone is not waited for")
			}
		}
	})
}
