package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// Tags, limits and a program's own selectors decide where children run, also after a node is lost (S28, S29).
func TestChildrenRunWhereTagsAndSelectorsSay(t *testing.T) {
	zones := map[sup.NodeName]string{"n1": "a", "n2": "a", "n3": "b", "a1": "b"}
	c := newCluster(t, 3, 1, func(cfg *node.Config) {
		cfg.Exec.Enabled, cfg.Behaviors = false, greeters()
		cfg.Tags = map[string]string{"zone": zones[cfg.Name]}
		if cfg.Name == "a1" {
			cfg.Tags["disk"] = "ssd"
		}
		cfg.Selectors = sup.NewSelectors()
		cfg.Selectors.Register("fewest-in-zone-a", func(nodes []sup.SelectorNode, child sup.SelectorChild) (sup.NodeName, error) {
			best := -1
			for i, n := range nodes {
				if n.Tags["zone"] == "a" && (best < 0 || n.Children < nodes[best].Children) {
					best = i
				}
			}
			if best < 0 {
				return "", errors.New("zone a is empty")
			}
			return nodes[best].Name, nil
		})
		cfg.Selectors.Register("slow", func([]sup.SelectorNode, sup.SelectorChild) (sup.NodeName, error) {
			time.Sleep(2 * sup.SelectorTimeout.Std())
			return "n1", nil
		})
		cfg.Selectors.Register("panics", func([]sup.SelectorNode, sup.SelectorChild) (sup.NodeName, error) { panic("out of luck") })
	})
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	one := func(id sup.ChildID, change func(*sup.ChildSpec)) sup.ChildSpec {
		spec := sup.ChildSpec{ID: id, Behavior: "greeter"}
		if change != nil {
			change(&spec)
		}
		return spec
	}
	pool, err := sup.Start(ctx, c.nodes["a1"], sup.Options{Name: "pool", Selector: sup.Custom("fewest-in-zone-a"), Children: []sup.ChildSpec{
		one("w1", nil), one("w2", nil), one("w3", nil), one("w4", nil),
		one("ssd", func(s *sup.ChildSpec) { s.Require, s.Selector = map[string]string{"disk": "ssd"}, sup.LeastLoaded }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	stats, err := pool.Stats(ctx)
	if err != nil || stats.ChildrenByNode["n1"] != 2 || stats.ChildrenByNode["n2"] != 2 || stats.ChildrenByNode["a1"] != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
	for selector, words := range map[string]string{
		"slow": "did not answer within 100ms", "panics": "it panicked: out of luck",
	} {
		_, err := pool.StartChild(ctx, one("bad", func(s *sup.ChildSpec) { s.Selector = sup.Custom(selector) }))
		if nobody := (*sup.NoAvailableNodeError)(nil); !errors.As(err, &nobody) || nobody.Child != "bad" || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", selector, err)
		}
	}
	_, err = pool.StartChild(ctx, one("bad", func(s *sup.ChildSpec) { s.Selector = sup.Custom("nobodys") }))
	if none := (*sup.SelectorNotRegisteredError)(nil); !errors.As(err, &none) || none.Selector != "nobodys" {
		t.Errorf("%v", err)
	}

	spread, err := sup.Start(ctx, c.nodes["a1"], sup.Options{Name: "spread", Spread: "zone", Children: []sup.ChildSpec{one("s1", nil), one("s2", nil), one("s3", nil), one("s4", nil)}})
	if err != nil {
		t.Fatal(err)
	}
	by, err := spread.Stats(ctx)
	if err != nil || by.ChildrenByNode["n1"]+by.ChildrenByNode["n2"] != 2 || by.ChildrenByNode["n3"]+by.ChildrenByNode["a1"] != 2 || by.Spread != "zone" {
		t.Errorf("%+v, %v", by, err)
	}

	lone := func(s *sup.ChildSpec) { s.MaxPerNode = 1 }
	single, err := sup.Start(ctx, c.nodes["a1"], sup.Options{Name: "single", Children: []sup.ChildSpec{one("1", lone), one("2", lone), one("3", lone), one("4", lone)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = single.StartChild(ctx, one("5", lone))
	if full := (*sup.NoAvailableNodeError)(nil); !errors.As(err, &full) || len(full.Reasons) != 4 || !strings.Contains(full.Reasons[0].Reason, "max_per_node is 1") {
		t.Errorf("%v", err)
	}

	// The leader is lost: its successor asks its own selectors, and what has no room waits.
	lost := c.leader()
	c.stop(lost)
	await.True(t, "all but the fourth run again", func() bool {
		stats, err := pool.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		count, err := pool.CountChildren(ctx)
		if err != nil {
			t.Fatal(err)
		}
		limited, err := single.CountChildren(ctx)
		return err == nil && count.Active == 5 && limited.Active == 3 && stats.ChildrenByNode["n3"] == 0
	})
	var waiting sup.Child
	children, err := single.Children(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range children {
		if ch.Status == sup.StatusPending {
			waiting = ch
		}
	}
	if !strings.Contains(waiting.PendingReason, string(lost)+": ") || !strings.Contains(waiting.PendingReason, "max_per_node is 1") {
		t.Errorf("%+v", waiting)
	}
	c.start(lost)
	await.True(t, "the fourth runs too", func() bool {
		now, err := single.Child(ctx, waiting.ID)
		return err == nil && now.Status == sup.StatusRunning && now.Node == lost
	})
}
