package maps

import (
	"net/netip"

	"github.com/headgate/headgate/pkg/lb"
)

// PortUse is how far NAT's source ports towards an address and port of a node are used up. Each port of a
// source address serves one flow there, whichever config the flow came by.
type PortUse struct {
	Active uint64 // flows that hold one
	Ports  uint64 // that there are
}

// Share is the part in use; 0 when there are no ports because nothing was given out yet.
func (u PortUse) Share() float64 {
	if u.Ports == 0 {
		return 0
	}
	return float64(u.Active) / float64(u.Ports)
}

// PortsUsed tells it of each node, by id. Closing flows do not count: a new flow may take their port.
func PortsUsed(states []NodeState) map[uint32]PortUse {
	type target struct {
		address  netip.AddrPort
		protocol lb.Protocol
	}
	type demand struct {
		active  uint64
		sources map[uint16]bool // indices into snats
	}
	all := map[target]*demand{}
	of := func(s *NodeState) *demand {
		k := target{s.Address, s.Protocol}
		if all[k] == nil {
			all[k] = &demand{sources: map[uint16]bool{}}
		}
		return all[k]
	}
	for i := range states {
		s := &states[i]
		d := of(s)
		d.active += s.Active
		for n := range s.SNATs.Count {
			d.sources[s.SNATs.First+n] = true
		}
	}
	out := make(map[uint32]PortUse, len(states))
	for i := range states {
		d := of(&states[i])
		out[states[i].ID] = PortUse{Active: d.active, Ports: uint64(len(d.sources)) * natPortCount}
	}
	return out
}
