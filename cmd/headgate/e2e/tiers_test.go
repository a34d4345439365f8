package e2e

import (
	"maps"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

// tiered is a site with primaries a and b, and backups c and d of twice and once their weight.
func tiered(t *testing.T) *checkable {
	s := newCheckable(t, 4)
	nodes := func(port int) []member {
		return []member{{i: 0, port: port}, {i: 1, port: port}, {i: 2, port: port, mode: "backup", weight: 100}, {i: 3, port: port, mode: "backup"}}
	}
	s.run(s.yaml(
		conf{port: 80, extra: "min_eligible: 2\nfailback_delay: 2s\n" + checkedOn, nodes: nodes(8080)},
		conf{port: 81, extra: "algorithm: source\n" + checkedOn, nodes: nodes(8080)},
		conf{port: 53, proto: "udp", extra: "min_eligible: 60%\n" + checkedOn, nodes: nodes(5353)},
	))
	return s
}

// TestE4BackupsServeBelowMinEligible and the primaries again once they have been enough for failback_delay. What began
// on a backup stays there (E7).
func TestE4BackupsServeBelowMinEligible(t *testing.T) {
	t.Parallel()
	s := tiered(t)
	wantShares(t, "both primaries", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
	s.down(0)
	s.await(0, "DOWN")
	wantShares(t, "one of two is too few", s.exchanges("tcp", 4, 80, 30), map[string]int{"c": 20, "d": 10})
	held := s.hold("udp", 4, 53, 30)
	if n := s.node("web/80/node-b"); n.Why != "takes no new flows: backup tier: 1 of 2 primaries eligible, min_eligible 2" {
		t.Errorf("b: %s", n.Why)
	}
	if n := s.node("web/53/udp/node-c"); n.Why != "takes new flows: backup tier: 1 of 2 primaries eligible with 50 % of their weight, min_eligible 60%" {
		t.Errorf("c of UDP: %s", n.Why)
	}

	s.up(0)
	began := time.Now()
	s.await(0, "UP")
	r := s.exchanges("tcp", 4, 80, 30)
	if s.node("web/80/node-b").TakesNew {
		t.Logf("too slow a machine to connect within failback_delay: %s", time.Since(began))
	} else {
		wantShares(t, "enough again, but not for long enough", r, map[string]int{"c": 20, "d": 10})
	}
	s.nodeEventually("web/80/node-b", "takes new flows again", func(n api.Node) bool { return n.TakesNew })
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("the primaries took over after %s", took)
	}
	wantShares(t, "after failback_delay", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
	t.Run("E7 flows on a backup stay there when primaries return", func(t *testing.T) {
		s.pulse(held)
		wantShares(t, "sessions that began on backups", s.finish(held), map[string]int{"c": 40, "d": 20})
	})
	s.checkCounts()
}

// TestE3BackupsShareByTheAlgorithm by weight, in turn and by hash.
func TestE3BackupsShareByTheAlgorithm(t *testing.T) {
	t.Parallel()
	s := tiered(t)
	from := s.addClients(60)
	before := s.chosen("tcp", 4, 81, from)
	mode := func(mode string, nodes ...string) {
		for _, node := range nodes {
			s.set("web/81/"+node, "--mode", mode)
		}
	}
	t.Run("E2 backups start when nobody is left in mode accept", func(t *testing.T) {
		mode("drain", "node-a", "node-b")
		count := map[string]int{}
		for _, node := range s.chosen("tcp", 4, 81, from) {
			count[node]++
		}
		if count["a"]+count["b"] > 0 || count["c"] < 25 || count["d"] < 8 { // 40 and 20, more or less
			t.Errorf("clients by node: %v", count)
		}
	})
	t.Run("E17 every node in drain", func(t *testing.T) {
		mode("drain", "node-c", "node-d")
		if r := s.exchanges("tcp", 4, 81, 5); r.Failures["refused"] != 5 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("E23 primaries that return have their clients back", func(t *testing.T) {
		mode("accept", "node-a", "node-b")
		if after := s.chosen("tcp", 4, 81, from); !maps.Equal(before, after) {
			t.Error("clients are not where they were before")
		}
	})
	s.down(0)
	s.down(1)
	s.await(0, "DOWN")
	s.await(1, "DOWN")
	wantShares(t, "in turn", s.exchanges("tcp", 4, 80, 30), map[string]int{"c": 20, "d": 10})
	s.checkCounts()
}
