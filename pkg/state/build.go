package state

import (
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/schedule"
)

// build makes the View of what is held now, and remembers what the next ones need to know of it. To build again
// changes neither.
func (s *State) build() *View {
	v := &View{Generation: s.generation, Revision: s.revision, Hops: s.hops, Announced: s.announced}
	next := newMemory()
	for i := range s.balancers {
		b := &s.balancers[i]
		for j := range b.Configs {
			for _, vip := range []netip.Addr{b.IPv4, b.IPv6} {
				if vip.IsValid() {
					v.Services = append(v.Services, s.service(&next, b, &b.Configs[j], vip))
				}
			}
		}
	}
	s.memory = next
	if s.started {
		s.served = nil
	}
	return v
}

// service makes one service: the config's nodes of the VIP's family, and who of them takes new flows.
func (s *State) service(next *memory, b *lb.Balancer, c *lb.Config, vip netip.Addr) Service {
	svc := Service{
		Config:      c.Key(b.Label),
		VIP:         vip,
		Port:        c.Port,
		Protocol:    c.Protocol,
		OnNoBackend: c.OnNoBackend,
		OnDown:      c.OnDown,
		Algorithm:   c.Algorithm,
		TCPIdle:     c.TCPIdle,
		UDPIdle:     c.UDPIdle,
		Sticky:      c.Stickiness.ByEntries(),
		StickTTL:    c.StickTTL,
		StickSlides: c.StickRefresh,
		Throttle:    b.Throttle(c.Protocol),

		RemoveDeadline: c.RemoveDeadline,
	}
	svc.Nodes = make([]Node, 0, len(c.Nodes))
	candidates := make([]schedule.Candidate, 0, len(c.Nodes))
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if n.Address.Addr().Is4() != vip.Is4() {
			continue
		}
		node := s.node(svc.Config, c, n)
		svc.Nodes = append(svc.Nodes, node)
		candidates = append(candidates, schedule.Candidate{
			ID:       uint32(i),
			Weight:   node.Weight,
			Mode:     node.Mode,
			Health:   node.Health,
			Override: node.Override,
			Check:    c.Check.Type,
			Ramp:     s.ramp(next, &node, c),
		})
	}
	rules := schedule.Rules{OnNoBackend: c.OnNoBackend, MinEligible: c.MinEligible, FailbackDelay: c.FailbackDelay}
	d := schedule.Decide(candidates, rules, s.turn(&svc), s.at)
	next.remember(&svc, d.Turn, c.FailbackDelay)
	svc.Tier = d.Tier
	for i := range svc.Nodes {
		n := &svc.Nodes[i]
		n.Why, n.Percent, n.Takes = d.Why[i], d.Percent[i], d.Percent[i] > 0
		n.Sticks = d.Sticks[i]
	}
	return svc
}

// node merges what is desired and known of one node.
func (s *State) node(config lb.ConfigKey, c *lb.Config, n *lb.Node) Node {
	key := lb.NodeKey{Config: config, Address: n.Address}
	out := Node{
		Key:      key,
		Label:    n.Label,
		Weight:   n.Weight,
		Mode:     n.Mode,
		Override: n.Override,
		MaxConns: n.MaxConns,
		Health:   lb.Unknown,
	}
	out.ModeSince, out.Deadline = s.modes[key].since, s.deadline(key, c)
	if isChecked(c, n) {
		r := s.found(s.health, key, c.Check)
		out.Health, out.Reason, out.CheckedAt = r.Health, r.Reason, r.At
	}
	out.Effective = schedule.Effective(out.Health, out.Override)
	out.Shown = out.Effective
	if n.Mode == lb.Reject {
		out.Shown, out.Reason = lb.Down, "admin"
	}
	hop, ok := s.hops[n.Address.Addr()]
	if !ok {
		hop.Reason = "not looked up yet"
	}
	out.Hop = hop
	return out
}

// Health returns what status shows of the health of a node at this moment.
func (s *State) Health(balancer string, c *lb.Config, n *lb.Node) lb.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node(c.Key(balancer), c, n).Shown
}

// Addresses returns the addresses of all nodes, sorted, each once: what next hops are needed for.
// Nodes that take no new flows are among them, because their flows go on.
func (s *State) Addresses() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []netip.Addr
	for i := range s.balancers {
		for j := range s.balancers[i].Configs {
			for _, n := range s.balancers[i].Configs[j].Nodes {
				out = append(out, n.Address.Addr())
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
