package dptest

import (
	"net/netip"
	"time"
)

// clientKey is a client of a service.
type clientKey struct {
	service uint32
	client  netip.Addr
}

type modelStick struct {
	Stick
	born time.Duration
}

// budgetKey is a client in a group of services; of an IPv6 client only the network counts.
type budgetKey struct {
	group  uint32
	client netip.Addr
}

// Sticks is Bed.Sticks.
func (m *Model) Sticks() (sticks []Stick) {
	for _, s := range m.sticks {
		sticks = append(sticks, s.Stick)
	}
	sortSticks(sticks)
	return sticks
}

// DropStick is Bed.DropStick.
func (m *Model) DropStick(service uint32, client netip.Addr) {
	delete(m.sticks, clientKey{service, client})
}

// mayOpen says whether a client may open a flow, and if so counts it.
func (m *Model) mayOpen(s *modelService, client netip.Addr) bool {
	if client.Is6() {
		network, _ := client.Prefix(64)
		client = network.Addr()
	}
	key := budgetKey{s.Group, client}
	until := max(m.budgets[key], m.now) + time.Second/time.Duration(s.Rate)
	if until-m.now > time.Second {
		return false
	}
	m.budgets[key] = until
	return true
}

// nodeFor names the node of a client's new flow; when there is none, why.
func (m *Model) nodeFor(s *modelService, client netip.Addr) (node *Node, reason string) {
	key := clientKey{s.ID, client}
	if stick := m.sticks[key]; s.TTL != 0 && stick != nil && m.holds(s, stick) {
		if s.Slides {
			stick.born = m.now
		}
		return m.nodes[stick.Node], ""
	}
	if s.length() == 0 && s.Drop {
		return nil, "no_backend_dropped"
	}
	if s.length() == 0 {
		return nil, "no_backend"
	}
	node, reason = m.choose(s, client)
	if node != nil && node.Free && len(s.Members) == 0 { // who asks for room does not look
		return nil, "bad_service"
	}
	if s.TTL != 0 && node != nil {
		entry := Stick{Service: s.ID, Client: client, Node: node.ID, Generation: node.Generation}
		if node.Backup {
			entry.Tier = s.Tier
		}
		m.sticks[key] = &modelStick{entry, m.now}
	}
	return node, reason
}

func (m *Model) holds(s *modelService, e *modelStick) bool {
	node := m.nodes[e.Node]
	return m.now-e.born <= s.TTL && (e.Tier == 0 || e.Tier == s.Tier) &&
		node.Service == s.ID && node.Generation == e.Generation && node.Actions&ActionStick != 0 && !m.full(node) && !m.pastDeadline(node)
}
