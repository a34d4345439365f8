package lb

import "time"

// What holds where people say nothing.
const (
	DefaultWeight        = 50
	DefaultTCPIdle       = time.Hour
	DefaultUDPIdle       = 16 * time.Second
	DefaultCheckInterval = 31 * time.Second
	DefaultCheckTimeout  = 30 * time.Second
	DefaultCheckAttempts = 3
	DefaultCheckRise     = 1
)

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
	setDefault(&c.OnNoBackend, NoBackendReset)
	setDefault(&c.OnDown, DownKeep)
	setDefault(&c.TCPIdle, DefaultTCPIdle)
	setDefault(&c.UDPIdle, DefaultUDPIdle)
	c.Check.SetDefaults()
	for i := range c.Nodes {
		c.Nodes[i].SetDefaults()
	}
}

// SetDefaults fills what is zero in c. A zero Port stays: it means the node's own port.
func (c *Check) SetDefaults() {
	setDefault(&c.Type, CheckNone)
	setDefault(&c.Interval, DefaultCheckInterval)
	setDefault(&c.Timeout, DefaultTimeout(c.Interval))
	setDefault(&c.Attempts, DefaultCheckAttempts)
	setDefault(&c.Rise, DefaultCheckRise)
}

// DefaultTimeout is the timeout of a check for which only the interval is known: 30 s, or half of an
// interval that is too short for that, so that setting the interval alone always works.
func DefaultTimeout(interval time.Duration) time.Duration {
	if interval > DefaultCheckTimeout {
		return DefaultCheckTimeout
	}
	return interval / 2
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
