package e2e

import (
	"fmt"
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

// A node that dies takes no new flow later than one check interval and 100 ms after its death, however it is checked.
func TestDeadNodeIsOutWithinOneIntervalAnd100ms(t *testing.T) {
	const interval = 500 * time.Millisecond
	const times = "check_interval: 500ms\ncheck_timeout: 400ms\ncheck_attempts: 1\n"
	s := newSite(t, 2, smallTable)
	servers := s.servers()
	configs := []conf{
		{port: 80, extra: times + "check: connection\n", nodes: members(2, 8080, both)},
		{port: 81, extra: times + "check: http\ncheck_path: /\n", nodes: members(2, 8080, both)},
		{port: 53, proto: "udp", extra: times + "check: udp\ncheck_send: who\ncheck_expect: \" who\"\n", nodes: members(2, 5353, both)},
	}
	s.run(s.yaml(configs...))
	loads := map[string]*peer.Client{}
	for _, c := range configs {
		network, name := "tcp", fmt.Sprintf("web/%d/node-a", c.port)
		if c.proto == "udp" {
			network, name = "udp", fmt.Sprintf("web/%d/udp/node-a", c.port)
		}
		load := s.startLoad(peer.Load{Network: network, Address: s.vip(4, c.port), Workers: 10, Interval: 20 * time.Millisecond, Timeout: time.Second})
		poll(t, soon, "the load runs", func() bool {
			r, err := load.Report()
			s.must(err)
			return r.Done > 100
		})
		loads[name] = load
	}
	died := time.Now()
	s.must(servers[0].Kill())
	for name := range loads {
		s.eventually(name+" is DOWN", s.applied(name, "DOWN"))
	}
	end := time.Now().Add(interval)
	poll(t, soon, "a while has passed", func() bool { return time.Now().After(end) })
	for name, load := range loads {
		r := s.finish(load)
		if r.Failed == 0 {
			t.Errorf("%s: no exchange met the dead node: the load was too thin to tell", name)
		}
		if took := r.LastFailure.Sub(died); took > interval+100*time.Millisecond {
			t.Errorf("%s: a new flow came to the dead node %v after its death", name, took)
		}
	}
	s.server(0)
	for name := range loads {
		s.eventually(name+" is UP again", s.applied(name, "UP"))
	}
	wantShares(t, "after its return", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
}
