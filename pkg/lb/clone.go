package lb

import "slices"

// Clone copies balancers so deep that nothing is shared.
func Clone(balancers []Balancer) []Balancer {
	out := slices.Clone(balancers)
	for i := range out {
		out[i] = out[i].Clone()
	}
	return out
}

// Clone copies b so deep that nothing is shared.
func (b Balancer) Clone() Balancer {
	b.Tags = slices.Clone(b.Tags)
	b.Configs = slices.Clone(b.Configs)
	for i := range b.Configs {
		b.Configs[i].Nodes = slices.Clone(b.Configs[i].Nodes)
	}
	return b
}

// Equal says whether two lists declare the same, in the same order. No nodes is no nodes: a nil slice
// equals an empty one.
func Equal(a, b []Balancer) bool {
	return slices.EqualFunc(a, b, Balancer.Equal)
}

// Equal says whether a and b declare the same, down to the order of configs and nodes.
func (b Balancer) Equal(a Balancer) bool {
	return b.EqualButConfigs(a) && slices.EqualFunc(b.Configs, a.Configs, Config.Equal)
}

// EqualButConfigs says whether a and b declare the same, whatever their configs.
func (b Balancer) EqualButConfigs(a Balancer) bool {
	return b.ID == a.ID && b.Label == a.Label && slices.Equal(b.Tags, a.Tags) && b.IPv4 == a.IPv4 && b.IPv6 == a.IPv6 &&
		b.ConnThrottle == a.ConnThrottle && b.SessionThrottle == a.SessionThrottle && b.Announce == a.Announce
}

// Equal says whether a and c declare the same, down to the order of nodes.
func (c Config) Equal(a Config) bool {
	return c.EqualButNodes(a) && slices.Equal(c.Nodes, a.Nodes)
}

// EqualButNodes says whether a and c declare the same, whatever their nodes.
func (c Config) EqualButNodes(a Config) bool {
	return c.ID == a.ID && c.Port == a.Port && c.Protocol == a.Protocol && c.Algorithm == a.Algorithm &&
		c.Stickiness == a.Stickiness && c.StickTTL == a.StickTTL && c.StickRefresh == a.StickRefresh &&
		c.OnNoBackend == a.OnNoBackend && c.OnDown == a.OnDown &&
		c.MinEligible == a.MinEligible && c.FailbackDelay == a.FailbackDelay && c.SlowStart == a.SlowStart &&
		c.TCPIdle == a.TCPIdle && c.UDPIdle == a.UDPIdle &&
		c.DrainDeadline == a.DrainDeadline && c.RejectDeadline == a.RejectDeadline && c.RemoveDeadline == a.RemoveDeadline &&
		c.Check == a.Check
}
