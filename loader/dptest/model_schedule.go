package dptest

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// How many of an algorithm's choices, and then of the members, are looked at for one with room.
const (
	roomChoices = 16
	roomMembers = 512
)

const golden = 0x9e3779b97f4a7c15

// mix is splitmix64's last step.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hashClient(a netip.Addr) uint64 {
	raw := a.AsSlice()
	if len(raw) == 4 {
		return mix(uint64(binary.LittleEndian.Uint32(raw)) + golden)
	}
	return mix(mix(binary.LittleEndian.Uint64(raw)+golden) ^ binary.LittleEndian.Uint64(raw[8:]) + golden)
}

// choose names the node for a new flow; when there is none, why.
func (m *Model) choose(s *modelService, client netip.Addr) (node *Node, reason string) {
	at := hashClient(client)
	if s.Algorithm != Hash {
		at = s.ticket
		s.ticket++
	}
	if len(s.Members) == 0 {
		return m.nodes[m.choice(s, at)], ""
	}
	for i := range uint64(roomChoices) {
		next := at + i
		if s.Algorithm == Hash && i > 0 {
			next = mix(at + i*golden)
		}
		if n := m.nodes[m.choice(s, next)]; m.hasRoom(n) {
			if s.Algorithm != Hash {
				s.ticket += i
			}
			return n, ""
		}
	}
	return m.chooseMember(s)
}

// chooseMember looks at the members one by one, from where the last look ended.
func (m *Model) chooseMember(s *modelService) (*Node, string) {
	padded := uint64(len(s.Members)+3) &^ 3
	for range min(padded, roomMembers) {
		i := s.cursor % padded
		s.cursor++
		if i < uint64(len(s.Members)) && m.hasRoom(m.nodes[s.Members[i]]) {
			return m.nodes[s.Members[i]], ""
		}
	}
	return nil, "nodes_full"
}

func (m *Model) hasRoom(n *Node) bool {
	return n.Actions&ActionNew != 0 && !m.full(n)
}

func (m *Model) full(n *Node) bool { return n.MaxConns != 0 && m.active(n.ID) >= uint64(n.MaxConns) }

// active counts the flows of a node that are not closing.
func (m *Model) active(id uint32) (n uint64) {
	for _, f := range m.flows {
		if f.Node == id && f.Class.counted() {
			n++
		}
	}
	return n
}

// choice is the node id that an algorithm makes of a ticket, or of a client's hash.
func (m *Model) choice(s *modelService, at uint64) uint32 {
	switch s.Algorithm {
	case Sequence:
		return s.Slots[at%uint64(len(s.Slots))]
	case Hash:
		return s.Slots[(at>>32)*uint64(len(s.Slots))>>32]
	case Tickets:
		return s.byWeight(at * golden)
	}
	random := mix(at * golden)
	first := s.byWeight(random)
	second := s.another(first, random)
	a, b := m.load(s, first)*m.weight(second), m.load(s, second)*m.weight(first)
	if a < b || a == b && random&1 == 0 {
		return first
	}
	return second
}

func (s *modelService) byWeight(point uint64) uint32 {
	column, fraction := bits.Mul64(point, uint64(len(s.Columns)))
	c := s.Columns[column]
	if uint32(fraction>>32) < c.Threshold {
		return c.Own
	}
	return c.Alias
}

// another draws a node that is not first, if there is one.
func (s *modelService) another(first uint32, random uint64) uint32 {
	for range 3 {
		random = mix(random + golden)
		if id := s.byWeight(random); id != first {
			return id
		}
	}
	column := int((random >> 32) * uint64(len(s.Columns)) >> 32)
	if id := s.Columns[column].Own; id != first {
		return id
	}
	return s.Columns[(column+1)%len(s.Columns)].Own
}

func (m *Model) load(s *modelService, id uint32) uint64 {
	flows := m.active(id) + 1
	if most := m.nodes[id].MaxConns; len(s.Members) > 0 && most != 0 && flows > uint64(most) {
		return 1 << 40
	}
	return flows
}

func (m *Model) weight(id uint32) uint64 { return max(uint64(m.nodes[id].Weight), 1) }
