package e2e

import (
	"fmt"
	"testing"

	"github.com/headgate/headgate/scripts/lab/peer"
)

func TestSharesAreExactlyTheWeights(t *testing.T) {
	s := newSite(t, 3, smallTable)
	s.servers()
	s.run(s.yaml(
		conf{port: 80, nodes: members(3, 8080, both, 5, 3, 2)},
		conf{port: 53, proto: "udp", nodes: members(3, 5353, both, 5, 3, 2)},
	))
	for _, c := range []struct {
		network      string
		family, port int
	}{{"tcp", 4, 80}, {"tcp", 6, 80}, {"udp", 4, 53}, {"udp", 6, 53}} {
		t.Run(fmt.Sprintf("%s over IPv%d", c.network, c.family), func(t *testing.T) {
			wantShares(t, "ten, one after another", s.exchanges(c.network, c.family, c.port, 10), map[string]int{"a": 5, "b": 3, "c": 2})
			wantShares(t, "1,000, one after another", s.exchanges(c.network, c.family, c.port, 1000), map[string]int{"a": 500, "b": 300, "c": 200})
			parallel := peer.Load{Network: c.network, Address: s.vip(c.family, c.port), Workers: 200, Count: 1}
			wantShares(t, "200 at the same time", s.load(parallel), map[string]int{"a": 100, "b": 60, "c": 40})
		})
	}
	s.checkCounts()
}

func TestWeightChangeTouchesOnlyNewFlows(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both, 1, 1)}))
	held := s.hold("tcp", 4, 80, 10)
	s.set("web/80/node-a", "--weight", "4")
	wantShares(t, "new connections", s.exchanges("tcp", 4, 80, 50), map[string]int{"a": 40, "b": 10})
	s.pulse(held)
	wantShares(t, "held connections, twice", s.finish(held), map[string]int{"a": 10, "b": 10})
}
