package supnode_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/supervisor"
)

// The messages of the tutorial's task scheduler. Refs travel in them like any value.
var (
	Schedule = actor.DefineCall[Job, int]("scheduler.schedule")
	Ready    = actor.DefineCast[actor.Ref]("scheduler.executor_ready")
	Done     = actor.DefineCast[Outcome]("scheduler.done")
	Again    = actor.DefineCast[int]("scheduler.again")
	Totals   = actor.DefineCall[struct{}, map[string]int]("scheduler.totals")

	Serve    = actor.DefineCast[actor.Ref]("executor.serve")
	Execute  = actor.DefineCast[Job]("executor.execute")
	finished = actor.DefineCast[Outcome]("executor.finished")
)

type (
	Job struct {
		ID     int
		Name   string
		Repeat time.Duration // 0 = once
	}
	Outcome struct {
		Job      Job
		Executor actor.Ref
		Failed   string
	}
)

type scheduling struct {
	jobs    map[int]Job
	waiting []int
	idle    []actor.Ref
	running map[actor.Ref]int
	totals  map[string]int
}

// assign gives the jobs that wait to the executors that are idle; one that is gone is forgotten.
func (s *scheduling) assign(c *actor.Context) {
	for len(s.waiting) > 0 && len(s.idle) > 0 {
		executor := s.idle[0]
		s.idle = s.idle[1:]
		if err := Execute.Cast(c, executor, s.jobs[s.waiting[0]]); err != nil {
			continue
		}
		s.running[executor], s.waiting = s.waiting[0], s.waiting[1:]
	}
}

func taskScheduler() actor.Behavior {
	b := actor.New("task-scheduler", func(c *actor.Context, _ struct{}) (*scheduling, error) {
		return &scheduling{jobs: map[int]Job{}, running: map[actor.Ref]int{}, totals: map[string]int{}}, nil
	})
	actor.OnCall(b, Schedule, func(c *actor.Context, s *scheduling, j Job) (int, error) {
		j.ID = len(s.jobs) + 1
		s.jobs[j.ID], s.waiting = j, append(s.waiting, j.ID)
		s.assign(c)
		return j.ID, nil
	})
	actor.OnCast(b, Ready, func(c *actor.Context, s *scheduling, executor actor.Ref) error {
		executor = c.Bind(executor) // it is a key of a map here
		if id, lost := s.running[executor]; lost {
			delete(s.running, executor) // it has started anew, and its job went with the incarnation
			s.waiting = append(s.waiting, id)
		}
		s.idle = append(s.idle, executor)
		s.assign(c)
		return nil
	})
	actor.OnCast(b, Done, func(c *actor.Context, s *scheduling, o Outcome) error {
		executor := c.Bind(o.Executor)
		delete(s.running, executor)
		s.idle = append(s.idle, executor)
		s.totals[o.Job.Name+o.Failed]++
		if o.Job.Repeat > 0 {
			self := c.Self()
			time.AfterFunc(o.Job.Repeat, func() { Again.Cast(context.Background(), self, o.Job.ID) })
		}
		s.assign(c)
		return nil
	})
	actor.OnCast(b, Again, func(c *actor.Context, s *scheduling, id int) error {
		s.waiting = append(s.waiting, id)
		s.assign(c)
		return nil
	})
	actor.OnCall(b, Totals, func(c *actor.Context, s *scheduling, _ struct{}) (map[string]int, error) {
		return maps.Clone(s.totals), nil // who asked reads it while the actor goes on
	})
	return b
}

func taskExecutor() actor.Behavior {
	type executor struct{ scheduler actor.Ref }
	b := actor.New("task-executor", func(c *actor.Context, _ struct{}) (*executor, error) { return &executor{}, nil })
	actor.OnCast(b, Serve, func(c *actor.Context, e *executor, scheduler actor.Ref) error {
		e.scheduler = scheduler
		return Ready.Cast(c, scheduler, c.Self())
	})
	actor.OnCast(b, Execute, func(c *actor.Context, e *executor, j Job) error {
		self := c.Self().PinnedTo(c.Incarnation()) // the work is this incarnation's: it ends with it
		go func() {
			finished.Cast(context.Background(), self, Outcome{Job: j}) // after the work
		}()
		return nil
	})
	actor.OnCast(b, finished, func(c *actor.Context, e *executor, o Outcome) error {
		o.Executor = c.Self()
		return Done.Cast(c, e.scheduler, o)
	})
	return b
}

// The tutorial's task scheduler: an actor that the cluster knows by name gives jobs to executors, which are started from a
// template. Work is done beside the handlers and comes back as a message.
func Example_scheduler() {
	behaviors := actor.NewRegistry()
	behaviors.Register(taskScheduler(), taskExecutor())
	n, stop := startNode(behaviors)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := supervisor.Start(ctx, n, supervisor.Options{Name: "scheduler", Children: []supervisor.ChildSpec{{ID: "main", Behavior: "task-scheduler"}}}); err != nil {
		log.Fatal(err)
	}
	executors, err := supervisor.Start(ctx, n, supervisor.Options{Name: "executors", Strategy: supervisor.SimpleOneForOne,
		ChildTemplate: &supervisor.ChildSpec{Behavior: "task-executor", Restart: supervisor.Transient, Selector: supervisor.LocalFirst}})
	if err != nil {
		log.Fatal(err)
	}
	scheduler := n.Ref("scheduler", "main") // on any node
	for range 2 {
		ref, err := executors.StartChildArgs(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if err := Serve.Cast(ctx, ref, scheduler); err != nil {
			log.Fatal(err)
		}
	}
	for _, j := range []Job{{Name: "images"}, {Name: "videos"}, {Name: "audio"}, {Name: "heartbeat", Repeat: time.Millisecond}} {
		id, err := Schedule.Call(ctx, scheduler, j)
		fmt.Println(id, j.Name, err)
	}
	for {
		totals, err := Totals.Call(ctx, scheduler, struct{}{})
		if err != nil {
			log.Fatal(err)
		}
		if totals["heartbeat"] >= 3 && totals["images"]+totals["videos"]+totals["audio"] == 3 {
			fmt.Println("all done, and the heartbeat goes on")
			return
		}
		time.Sleep(time.Millisecond)
	}
	// Output:
	// 1 images <nil>
	// 2 videos <nil>
	// 3 audio <nil>
	// 4 heartbeat <nil>
	// all done, and the heartbeat goes on
}
