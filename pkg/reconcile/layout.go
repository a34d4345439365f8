package reconcile

import (
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// share is a node of a service as far as its table is concerned.
type share struct {
	id      uint32 // 0: there was no room for it
	address netip.AddrPort
	weight  int
	percent int // of its weight; 0: it takes no new flows
}

// places is how much of its service a node has: its weight, in tenths while some start slowly.
func (s *share) places() int { return s.weight * s.percent / loadTenths }

// loadTenths is what a node's weight is multiplied by where it is compared: a node that starts with a tenth of its
// weight has a whole number, too.
const loadTenths = 10

// order is what a table is made of: the same orders make the same tables.
type order struct {
	algorithm lb.Algorithm
	limited   bool // some nodes have max_conns
	shares    []share
}

func orderOf(s *state.Service, shares []share) order {
	return order{
		algorithm: s.Algorithm,
		limited:   slices.ContainsFunc(s.Nodes, func(n state.Node) bool { return n.MaxConns > 0 }),
		shares:    shares,
	}
}

func (o *order) equal(to *order) bool {
	return o.algorithm == to.algorithm && o.limited == to.limited && slices.Equal(o.shares, to.shares)
}

// ids are those of the nodes.
func (o *order) ids() []uint32 {
	ids := make([]uint32, len(o.shares))
	for i := range o.shares {
		ids[i] = o.shares[i].id
	}
	return ids
}

// layout is a table as it lies in the slots. Without words nobody takes new flows.
type layout struct {
	algorithm maps.Algorithm
	limited   bool
	length    uint32 // node ids or columns
	words     []uint64
}

// word makes the table that begins at a slot part of a service's word.
func (l *layout) word(first uint32, policy maps.ServiceWord) maps.ServiceWord {
	policy.Offset, policy.Length, policy.Algorithm, policy.Limited = first, l.length, l.algorithm, l.limited
	return policy
}

// layOut makes the table of an order. A service keeps the base of its last table by hash, which takes long to make.
func (svc *service) layOut(o *order) layout {
	takes := slices.DeleteFunc(slices.Clone(o.shares), func(s share) bool { return s.percent == 0 })
	if len(takes) == 0 {
		return layout{}
	}
	var l layout
	switch {
	case o.algorithm.ByClient():
		l = svc.byHash(o)
	case o.algorithm == lb.LeastConn:
		l = columns(maps.LeastConn, takes)
	default:
		l = roundRobin(takes)
	}
	if l.limited = o.limited; l.limited {
		l.words = append(l.words, maps.PackMembers(members(o.shares))...)
	}
	return l
}

// members lists all nodes, also those that take no new flows now: the data path asks each when it looks for room.
func members(shares []share) []uint32 {
	var ids []uint32
	for i := range shares {
		if shares[i].id != 0 {
			ids = append(ids, shares[i].id)
		}
	}
	return ids
}

func weights(takes []share) []int {
	out := make([]int, len(takes))
	for i := range takes {
		out[i] = takes[i].places()
	}
	return out
}

// roundRobin lays out each node as often as its weight says, spread evenly; where that would be too long a table,
// tickets spread over columns do.
func roundRobin(takes []share) layout {
	sequence := schedule.Smooth(weights(takes))
	if sequence == nil {
		return columns(maps.Tickets, takes)
	}
	ids := make([]uint32, len(sequence))
	for i, which := range sequence {
		ids[i] = takes[which].id
	}
	return layout{algorithm: maps.Sequence, length: uint32(len(ids)), words: maps.PackNodes(ids)}
}

// columns lays out an alias table.
func columns(a maps.Algorithm, takes []share) layout {
	table := schedule.Alias(weights(takes))
	out := make([]maps.Column, len(table))
	for i, c := range table {
		out[i] = maps.Column{Threshold: c.Threshold, Own: takes[i].id, Alias: takes[c.Alias].id}
	}
	return layout{algorithm: a, length: uint32(len(out)), words: maps.PackColumns(out)}
}

// byHash lays out who owns each slot. All nodes of the config are members whatever their mode and health, so that
// these move only the clients of nodes that change.
func (svc *service) byHash(o *order) layout {
	all, percent := make([]schedule.Member, len(o.shares)), make([]int, len(o.shares))
	for i, s := range o.shares {
		all[i] = schedule.Member{Address: s.address, Weight: s.weight}
		percent[i] = s.percent
	}
	if svc.base == nil || !slices.Equal(all, svc.members) {
		svc.base, svc.members = schedule.NewMaglev(all), all
	}
	owners, ids := svc.base.Assign(percent), o.ids()
	return layout{algorithm: maps.Hash, length: uint32(len(owners)), words: maps.PackChosen(owners, ids)}
}
