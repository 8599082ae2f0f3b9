package rounds

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// alive is how old the last tick of a running child may be; ticks are 10 ms apart.
const alive = 150 * time.Millisecond

// running are the commands that tick now, by child, and the newest start of any life.
func (s *Stage) running() (now map[history.Key][]history.Life, newest history.Life, err error) {
	lives, err := s.Journals.Lives()
	at := history.Now()
	now = make(map[history.Key][]history.Life)
	for _, l := range lives {
		if l.Start > newest.Start {
			newest = l
		}
		if l.Role == history.Main && l.Last() >= at.Add(-alive) && l.Stop == "" {
			now[l.Key] = append(now[l.Key], l)
		}
	}
	return now, newest, err
}

// exactly says why the set that runs, without what runs on the nodes in but, is not the set wanted; above has the
// incarnations that are over.
func (s *Stage) exactly(wanted []history.Key, above map[history.Key]uint64, but ...string) error {
	running, _, err := s.running()
	if err != nil {
		return err
	}
	var wrong []string
	for _, k := range wanted {
		lives := slices.DeleteFunc(running[k], func(l history.Life) bool { return slices.Contains(but, l.Node) })
		if len(lives) != 1 {
			wrong = append(wrong, fmt.Sprintf("%s runs %d times", k, len(lives)))
		} else if lives[0].Incarnation <= above[k] {
			wrong = append(wrong, fmt.Sprintf("%s still runs as incarnation %d", k, lives[0].Incarnation))
		}
	}
	for k, lives := range running {
		if !slices.Contains(wanted, k) && slices.ContainsFunc(lives, func(l history.Life) bool { return !slices.Contains(but, l.Node) }) {
			wrong = append(wrong, fmt.Sprintf("%s runs, nobody wants it", k))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, ", "))
	}
	return nil
}

// Ready waits until every node serves. A process that ended by itself (L6) is started again.
func (s *Stage) Ready(ctx context.Context) error {
	return cluster.Until(ctx, "every node to serve", s.serves)
}

func (s *Stage) serves(ctx context.Context) error {
	if revived, err := s.Cluster.Revive(); err != nil || len(revived) > 0 {
		return fmt.Errorf("%v ended by themselves: %w", revived, err)
	}
	for _, n := range s.Cluster.Names() {
		if err := s.Cluster.Node(n).IsReady(ctx); err != nil {
			return fmt.Errorf("%s is not ready: %w", n, err)
		}
	}
	return nil
}

// Settle waits until every node serves, and what runs is what is wanted, by the children's records and by the cluster's
// own list.
func (s *Stage) Settle(ctx context.Context, above map[history.Key]uint64) error {
	return cluster.Until(ctx, "the cluster to settle", func(ctx context.Context) error {
		if err := s.serves(ctx); err != nil {
			return err
		}
		if err := s.exactly(s.Wanted(), above); err != nil {
			return err
		}
		dump, err := s.dump(ctx)
		if err != nil {
			return err
		}
		return agrees(dump, s.Wanted())
	})
}

// agrees says why the cluster's list is not that the wanted set runs, and nothing else.
func agrees(dump []history.Running, wanted []history.Key) error {
	for _, c := range dump {
		if c.Status != "running" || !slices.Contains(wanted, c.Key) {
			return fmt.Errorf("the cluster says that %s is %s on %q", c.Key, c.Status, c.Node)
		}
	}
	if len(dump) != len(wanted) {
		return fmt.Errorf("the cluster lists %d children, %d are wanted", len(dump), len(wanted))
	}
	return nil
}

// dump is the cluster's own linearizable list of all children of supervisors that have not stopped.
func (s *Stage) dump(ctx context.Context) (all []history.Running, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	supervisors, err := s.Client.Supervisors(ctx)
	if err != nil {
		return nil, err
	}
	for _, sup := range supervisors {
		if sup.Status == "stopped" {
			continue
		}
		children, err := s.Client.Children(ctx, sup.Name)
		if err != nil {
			return nil, err
		}
		for _, c := range children {
			all = append(all, history.Running{Key: history.Key{Supervisor: sup.Name, Child: c.ID}, Status: c.Status, Node: c.Node,
				Incarnation: c.Incarnation})
		}
	}
	return all, nil
}

// down lists the nodes that do not serve, though there was time for an election.
func (s *Stage) down(ctx context.Context) (out []string) {
	for _, n := range s.Cluster.Names() {
		bounded, cancel := context.WithTimeout(ctx, 2*s.Timing.Election())
		if err := s.Cluster.Ready(bounded, n); err != nil {
			s.Log("   %v", err)
			out = append(out, n)
		}
		cancel()
	}
	return out
}

// Spread restarts children by hand until every node has some that stay: what fails over stays where it is (S25), and a fault
// that hits a node without children shows nothing.
func (s *Stage) Spread(ctx context.Context) error {
	const least = 2
	for range 20 * PoolSize {
		running, _, err := s.running()
		if err != nil {
			return err
		}
		on := make(map[string][]history.Key)
		for k, lives := range running {
			if churned(k) {
				continue
			}
			on[lives[0].Node] = append(on[lives[0].Node], k)
		}
		most, poor := "", false
		for _, n := range s.Cluster.Names() {
			if len(on[n]) < least {
				poor = true
			}
			if len(on[n]) > len(on[most]) {
				most = n
			}
		}
		if !poor {
			return nil
		}
		keys := on[most]
		slices.SortFunc(keys, func(a, b history.Key) int { return strings.Compare(a.String(), b.String()) })
		op := s.Operate(ctx, history.OpRestart, keys[s.Rand.IntN(len(keys))], nil)
		if op.Outcome != history.OK {
			return fmt.Errorf("restart of %s by hand: %s", op.Key, op.Detail)
		}
		if err := s.Settle(ctx, nil); err != nil {
			return err
		}
	}
	return fmt.Errorf("restarts by hand do not bring children to every node")
}
