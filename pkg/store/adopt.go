package store

import (
	"net/netip"

	"github.com/headgate/headgate/pkg/lb"
)

// adopt gives what is declared without an id the id of what it takes the place of: a balancer by its label, a
// config by its port and protocol, a node by its address.
func adopt(current, declared []lb.Balancer) {
	pair(current, declared,
		func(b *lb.Balancer) *int { return &b.ID },
		func(b *lb.Balancer) string { return b.Label },
		func(was, b *lb.Balancer) { adoptConfigs(was.Configs, b.Configs) })
}

func adoptConfigs(current, declared []lb.Config) {
	pair(current, declared,
		func(c *lb.Config) *int { return &c.ID },
		func(c *lb.Config) lb.ConfigKey { return c.Key("") },
		func(was, c *lb.Config) { adoptNodes(was.Nodes, c.Nodes) })
}

func adoptNodes(current, declared []lb.Node) {
	pair(current, declared,
		func(n *lb.Node) *int { return &n.ID },
		func(n *lb.Node) netip.AddrPort { return n.Address },
		func(_, _ *lb.Node) {})
}

// pair finds for each thing declared the current one that it is: the one with its id, or, where it has none, the
// one with its key, whose id it gets unless another was declared with that. An id that nothing current has is none.
// inner goes on with what they hold.
func pair[T any, K comparable](current, declared []T, id func(*T) *int, key func(*T) K, inner func(was, is *T)) {
	byID, byKey := make(map[int]*T, len(current)), make(map[K]*T, len(current))
	for i := range current {
		c := &current[i]
		byID[*id(c)], byKey[key(c)] = c, c
	}
	taken := make(map[int]bool, len(declared))
	for i := range declared {
		d := id(&declared[i])
		if byID[*d] == nil {
			*d = 0
		}
		taken[*d] = true
	}
	for i := range declared {
		d := &declared[i]
		was := byID[*id(d)]
		if *id(d) == 0 {
			if was = byKey[key(d)]; was != nil && taken[*id(was)] {
				was = nil
			}
		}
		if was == nil {
			was = new(T) // what a new thing holds is new, too
		}
		*id(d) = *id(was)
		taken[*id(d)] = true
		inner(was, d)
	}
}
