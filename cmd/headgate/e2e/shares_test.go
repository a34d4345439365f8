package e2e

import (
	"testing"

	"github.com/headgate/headgate/scripts/lab/peer"
)

func TestSharesAreExactlyTheWeights(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, smallTable)
	s.servers()
	s.run(s.yaml(
		conf{port: 80, nodes: members(3, 8080, both, 5, 3, 2)},
		conf{port: 53, proto: "udp", nodes: members(3, 5353, both, 5, 3, 2)},
	))
	for _, family := range both {
		wantShares(t, "ten connections, one after another", s.exchanges("tcp", family, 80, 10), map[string]int{"a": 5, "b": 3, "c": 2})
		wantShares(t, "1,000 connections, one after another", s.exchanges("tcp", family, 80, 1000), map[string]int{"a": 500, "b": 300, "c": 200})
		parallel := peer.Load{Network: "tcp", Address: s.vip(family, 80), Workers: 200, Count: 1}
		wantShares(t, "200 connections at the same time", s.load(parallel), map[string]int{"a": 100, "b": 60, "c": 40})
		// Each session sends twice: the second datagram has no say in who gets the next one.
		held := s.hold("udp", family, 53, 1000)
		s.pulse(held)
		wantShares(t, "1,000 UDP sessions, two datagrams each", s.finish(held), map[string]int{"a": 1000, "b": 600, "c": 400})
	}
	s.checkCounts()
}

func TestE9WeightChangeTouchesOnlyNewFlows(t *testing.T) {
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
