package state

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
)

// addresses are those of all nodes.
type addresses struct {
	nodes map[netip.Addr]int  // how many nodes have it
	moved map[netip.Addr]bool // that came or went since AddressesMoved was asked, and whether they were there then
}

func newAddresses() addresses {
	return addresses{nodes: map[netip.Addr]int{}, moved: map[netip.Addr]bool{}}
}

// count adds the nodes that there are n times to those that are counted.
func (a *addresses) count(nodes []lb.Node, n int) {
	for i := range nodes {
		addr := nodes[i].Address.Addr()
		before := a.nodes[addr]
		if a.nodes[addr] = before + n; before+n == 0 {
			delete(a.nodes, addr)
		}
		if _, noted := a.moved[addr]; !noted && (before == 0 || before+n == 0) {
			a.moved[addr] = before > 0
		}
	}
}

// Addresses returns the addresses of all nodes, sorted, each once: what next hops are needed for.
// Nodes that take no new flows are among them, because their flows go on.
func (s *State) Addresses() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.addresses.nodes), netip.Addr.Compare)
}

// AddressesMoved returns what came to Addresses and what went from it since it was asked last: of ten thousand,
// a change mostly moves a few.
func (s *State) AddressesMoved() (came, gone []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr, was := range s.addresses.moved {
		switch is := s.addresses.nodes[addr] > 0; {
		case is && !was:
			came = append(came, addr)
		case was && !is:
			gone = append(gone, addr)
		}
	}
	clear(s.addresses.moved)
	return came, gone
}
