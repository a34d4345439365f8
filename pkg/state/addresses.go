package state

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
)

// addresses are those of all nodes, each once.
type addresses struct {
	nodes  map[netip.Addr]int // how many nodes have it
	moved  []netip.Addr       // that came or went since the list was made
	sorted []netip.Addr       // given away: never changed, only replaced
}

// count adds the nodes that there are n times to those that are counted.
func (a *addresses) count(nodes []lb.Node, n int) {
	if a.nodes == nil {
		a.nodes = map[netip.Addr]int{}
	}
	for i := range nodes {
		addr := nodes[i].Address.Addr()
		before := a.nodes[addr]
		a.nodes[addr] = before + n
		if before == 0 || before+n == 0 {
			a.moved = append(a.moved, addr)
		}
	}
}

// fewMoves are put into the list, or taken out of it, one by one; for more it is made anew.
const fewMoves = 32

// settle makes the list say what was counted.
func (a *addresses) settle() {
	if len(a.moved) == 0 {
		return
	}
	one := len(a.moved) <= fewMoves
	list := slices.Clone(a.sorted)
	for _, addr := range a.moved {
		there := a.nodes[addr] > 0
		if !there {
			delete(a.nodes, addr)
		}
		if one {
			list = place(list, addr, there)
		}
	}
	if !one {
		list = slices.SortedFunc(maps.Keys(a.nodes), netip.Addr.Compare)
	}
	if !slices.Equal(list, a.sorted) {
		a.sorted = list
	}
	a.moved = nil
}

// place puts an address into a sorted list, or takes it out.
func place(list []netip.Addr, addr netip.Addr, wanted bool) []netip.Addr {
	i, there := slices.BinarySearchFunc(list, addr, netip.Addr.Compare)
	switch {
	case wanted == there:
		return list
	case wanted:
		return slices.Insert(list, i, addr)
	}
	return slices.Delete(list, i, i+1)
}

// Addresses returns the addresses of all nodes, sorted, each once: what next hops are needed for.
// Nodes that take no new flows are among them, because their flows go on. Nobody changes the list.
func (s *State) Addresses() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses.sorted
}
