package state

import (
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/schedule"
)

// piece is what Views show of a config, and what the next one needs to know of it.
type piece struct {
	services []*Service
	memory   memory
	number   int  // tells the parts of Touch
	checked  bool // the config asks for checks, whose times are shown
	good     bool // the services are as they would be if they were made now
}

// spoil makes the services of a config be made anew for the next View.
func (s *State) spoil(key lb.ConfigKey) {
	if p := s.pieces[key]; p != nil {
		p.good = false
	}
}

// build puts together the View of what is held now, and makes anew of it what is no longer good. It remembers what
// the next ones need to know. To build again changes neither.
func (s *State) build() *View {
	v := &View{Generation: s.generation, Revision: s.revision, Hops: s.hops, Hopped: s.hopped, Announced: s.announced}
	if s.order == nil {
		s.order = s.inOrder()
	}
	v.Services = make([]*Service, 0, 2*len(s.order))
	s.wake = time.Time{}
	for _, at := range s.order {
		p := at.piece
		if due := p.memory.wake; !p.good || !due.IsZero() && !s.at.Before(due) {
			b := &s.balancers[at.balancer]
			s.renew(p, b, &b.Configs[at.config])
		}
		v.Services = append(v.Services, p.services...)
		if w := p.memory.wake; !w.IsZero() && (s.wake.IsZero() || w.Before(s.wake)) {
			s.wake = w
		}
	}
	if s.started {
		s.served = nil
	}
	return v
}

// place is where a config stands in the desired state.
type place struct {
	piece            *piece
	balancer, config int
}

// inOrder finds the pieces of all configs, in the order of the desired state. As long as no config comes, goes or
// moves, the next Views need not look for them.
func (s *State) inOrder() []place {
	order := make([]place, 0, len(s.pieces))
	for i := range s.balancers {
		b := &s.balancers[i]
		for j := range b.Configs {
			key := b.Configs[j].Key(b.Label)
			p := s.pieces[key]
			if p == nil {
				p = &piece{memory: newMemory(), number: s.numbered}
				s.pieces[key] = p
				s.numbered++
			}
			order = append(order, place{p, i, j})
		}
	}
	return order
}

// renew makes what a View shows of a config.
func (s *State) renew(p *piece, b *lb.Balancer, c *lb.Config) {
	next := newMemory()
	p.services = make([]*Service, 0, 2)
	for _, vip := range b.VIPs() {
		s.built++
		svc := s.service(&p.memory, &next, b, c, vip)
		svc.Built = s.built
		p.services = append(p.services, svc)
	}
	p.memory, p.good, p.checked = next, true, c.Probe().Type != lb.CheckNone
}

// service makes one service: the config's nodes of the VIP's family, and who of them takes new flows.
func (s *State) service(was, next *memory, b *lb.Balancer, c *lb.Config, vip netip.Addr) *Service {
	svc := &Service{
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
		Passive:     c.IsPassive(),
		Watched:     c.IsPassive() && c.Check.Type == lb.CheckNone,

		RemoveDeadline: c.RemoveDeadline,
	}
	svc.Nodes = s.nodes(svc.Config, c, vip.Is4())
	s.eject(next, svc.Nodes)
	candidates := make([]schedule.Candidate, len(svc.Nodes))
	for i := range svc.Nodes {
		node := &svc.Nodes[i]
		candidates[i] = schedule.Candidate{
			Weight:   node.Weight,
			Mode:     node.Mode,
			Health:   node.Health,
			Override: node.Override,
			Check:    c.Check.Type,
			Ramp:     s.ramp(was, next, node, c),
			Spared:   node.Spared,
		}
	}
	rules := schedule.Rules{OnNoBackend: c.OnNoBackend, MinEligible: c.MinEligible, FailbackDelay: c.FailbackDelay}
	d := schedule.Decide(candidates, rules, s.turn(was, svc), s.at)
	next.remember(svc, d.Turn, c.FailbackDelay)
	svc.Tier = d.Tier
	for i := range svc.Nodes {
		n := &svc.Nodes[i]
		n.Why, n.Percent, n.Takes = d.Why[i], d.Percent[i], d.Percent[i] > 0
		n.Sticks = d.Sticks[i]
	}
	return svc
}

// nodes merges what is desired and known of the nodes of one family.
func (s *State) nodes(config lb.ConfigKey, c *lb.Config, is4 bool) []Node {
	count := 0
	for i := range c.Nodes {
		if c.Nodes[i].Address.Addr().Is4() == is4 {
			count++
		}
	}
	out := make([]Node, count)
	at := 0
	for i := range c.Nodes {
		if n := &c.Nodes[i]; n.Address.Addr().Is4() == is4 {
			s.node(&out[at], config, c, n)
			at++
		}
	}
	return out
}

// node merges what is desired and known of one node, in place: there may be thousands, and they are large.
func (s *State) node(out *Node, config lb.ConfigKey, c *lb.Config, n *lb.Node) {
	key := lb.NodeKey{Config: config, Address: n.Address}
	set := s.modes[key]
	*out = Node{
		Key:      key,
		Label:    n.Label,
		Weight:   n.Weight,
		Mode:     n.Mode,
		Override: n.Override,
		MaxConns: n.MaxConns,
		Health:   lb.Unknown,

		ModeSince: set.since, Deadline: set.deadline(c),
		Ejection: s.ejection(key, c, n, set.since),
	}
	if isChecked(c, n) {
		r := s.found(s.health, key, &c.Check)
		out.Health, out.Reason, out.CheckedAt = r.Health, r.Reason, r.At
	}
	out.judge()
	if out.Hop = s.hops.At(n.Address.Addr()); out.Hop == nil {
		out.Hop = notLookedUp
	}
}

var notLookedUp = &netdev.NextHop{Reason: "not looked up yet"}

// judge says what follows from the health of a node.
func (n *Node) judge() {
	n.Effective = schedule.Effective(n.Health, n.Override)
	n.Shown = n.Effective
	if n.Mode == lb.Reject {
		n.Shown, n.Reason = lb.Down, "admin"
	}
}

// Health returns what status shows of the health of a node at this moment.
func (s *State) Health(balancer string, c *lb.Config, n *lb.Node) lb.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	var node Node
	s.node(&node, c.Key(balancer), c, n)
	if node.Ejection == nil {
		return node.Shown
	}
	// Whether it is, depends on the others.
	for _, svc := range s.latest().Services {
		for i := range svc.Nodes {
			if svc.Nodes[i].Key == node.Key {
				return svc.Nodes[i].Shown
			}
		}
	}
	return node.Shown
}
