package e2e

import (
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// applied says whether a node has this health and the data path runs what follows from it.
func (s *site) applied(node, health string) func(api.Status) bool {
	return func(st api.Status) bool {
		s.t.Helper()
		n, err := st.Node(node)
		s.must(err)
		return n.Health == health && st.Applied == st.Desired
	}
}

// A node that dies takes no new connection later than one check interval and 100 ms after its death.
func TestDeadNodeIsOutWithinOneIntervalAnd100ms(t *testing.T) {
	const interval = 500 * time.Millisecond
	s := newSite(t, 2, smallTable)
	servers := s.servers()
	s.run(s.yaml(conf{port: 80, extra: "check: connection\ncheck_interval: 500ms\ncheck_timeout: 400ms\ncheck_attempts: 1\n", nodes: members(2, 8080, both)}))
	load := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 10, Interval: 20 * time.Millisecond})
	poll(t, soon, "the load runs", func() bool {
		r, err := load.Report()
		s.must(err)
		return r.Done > 100
	})
	died := time.Now()
	s.must(servers[0].Kill())
	s.eventually("the node is DOWN", s.applied("web/80/node-a", "DOWN"))
	end := time.Now().Add(interval)
	poll(t, soon, "a while has passed", func() bool { return time.Now().After(end) })
	r := s.finish(load)
	if r.Failed == 0 {
		t.Fatal("no connection met the dead node: the load was too thin to tell")
	}
	if took := r.LastFailure.Sub(died); took > interval+100*time.Millisecond {
		t.Errorf("a new connection came to the dead node %v after its death", took)
	}
	s.server(0)
	s.eventually("the node is UP again", s.applied("web/80/node-a", "UP"))
	wantShares(t, "after its return", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
}
