package lb

import "time"

// What holds where people say nothing.
const (
	DefaultWeight   = 50
	DefaultTCPIdle  = time.Hour
	DefaultUDPIdle  = 16 * time.Second
	DefaultStickTTL = 30 * time.Minute
	// Of UDP; TCP connections end by themselves, and have none.
	DefaultDrainDeadline  = 5 * time.Minute
	DefaultRejectDeadline = time.Minute
	DefaultRemoveDeadline = 5 * time.Minute // of both
)

// DefaultMinEligible lets the backups wait until no primary is eligible.
var DefaultMinEligible = MinEligible{N: 1}

// SetDefaults fills what is zero in b, its configs and their nodes, except a node's weight: there 0
// is a mistake that Validate must see. Whoever decodes a node starts it with DefaultWeight.
func (b *Balancer) SetDefaults() {
	for i := range b.Configs {
		b.Configs[i].SetDefaults()
	}
}

// SetDefaults fills what is zero in c and its nodes, as Balancer.SetDefaults does.
func (c *Config) SetDefaults() {
	setDefault(&c.Protocol, TCP)
	setDefault(&c.Algorithm, RoundRobin)
	setDefault(&c.Stickiness, StickinessesOf(c.Protocol)[0])
	setDefault(&c.StickTTL, DefaultStickTTL)
	setDefault(&c.OnNoBackend, NoBackendReset)
	setDefault(&c.OnDown, DownKeep)
	setDefault(&c.MinEligible, DefaultMinEligible)
	setDefault(&c.TCPIdle, DefaultTCPIdle)
	setDefault(&c.UDPIdle, DefaultUDPIdle)
	drain, reject := NoDeadline, NoDeadline
	if c.Protocol == UDP {
		drain, reject = DefaultDrainDeadline, DefaultRejectDeadline
	}
	setDefault(&c.DrainDeadline, drain)
	setDefault(&c.RejectDeadline, reject)
	setDefault(&c.RemoveDeadline, DefaultRemoveDeadline)
	setDefault(&c.Check.Passive, DefaultPassive(c.Protocol))
	c.Check.SetDefaults()
	for i := range c.Nodes {
		c.Nodes[i].SetDefaults()
	}
}

// SetDefaults fills the mode and the override of n where they are empty. The weight stays as it is.
func (n *Node) SetDefaults() {
	setDefault(&n.Mode, Accept)
	setDefault(&n.Override, OverrideNone)
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
