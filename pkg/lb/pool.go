package lb

import (
	"fmt"
	"net/netip"
	"slices"
)

// Pool is what VIPs are given out of.
type Pool struct {
	Prefixes []netip.Prefix
	Shunned  []netip.Addr // of the pool, but used by the host
}

// Has says that the pool has addresses of a family.
func (p *Pool) Has(six bool) bool {
	return slices.ContainsFunc(p.Prefixes, func(x netip.Prefix) bool { return x.Addr().Is6() == six })
}

// Next is the first address of a family that nobody has; left is false when all are taken. With no pool of that
// family the address is not valid.
func (p *Pool) Next(six bool, balancers []Balancer) (a netip.Addr, left bool) {
	if !p.Has(six) {
		return netip.Addr{}, true
	}
	taken := takenBy(balancers)
	for _, prefix := range p.Prefixes {
		if prefix.Addr().Is6() != six {
			continue
		}
		for a := prefix.Addr(); a.IsValid() && prefix.Contains(a); a = a.Next() {
			if !reserved(prefix, a) && !taken[a] && !slices.Contains(p.Shunned, a) && AddressReason(a) == "" {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// takenBy are the addresses of all balancers and nodes.
func takenBy(balancers []Balancer) map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for i := range balancers {
		b := &balancers[i]
		taken[b.IPv4], taken[b.IPv6] = true, true
		for j := range b.Configs {
			for k := range b.Configs[j].Nodes {
				taken[b.Configs[j].Nodes[k].Address.Addr()] = true
			}
		}
	}
	return taken
}

// reserved says that an address of a prefix has a meaning of its own: the network, the broadcast address, the
// routers' anycast address. They are given to who asks for them.
func reserved(p netip.Prefix, a netip.Addr) bool {
	if a.BitLen()-p.Bits() < 2 {
		return false
	}
	return a == p.Addr() || a.Is4() && !p.Contains(a.Next())
}

// Reason says why an address cannot be given to who asks for it; "" when it can.
func (p *Pool) Reason(a netip.Addr, balancers []Balancer) string {
	if reason := AddressReason(a); reason != "" {
		return reason
	}
	if !slices.ContainsFunc(p.Prefixes, func(x netip.Prefix) bool { return x.Contains(a) }) {
		return fmt.Sprintf("%s is not in vip_pool of the configuration of this host", a)
	}
	if slices.Contains(p.Shunned, a) {
		return fmt.Sprintf("%s is an address that this host sends from", a)
	}
	for i := range balancers {
		b := &balancers[i]
		if a == b.IPv4 || a == b.IPv6 {
			return fmt.Sprintf("%s is the VIP of balancer %s already", a, b.Label)
		}
		for j := range b.Configs {
			for k := range b.Configs[j].Nodes {
				if n := &b.Configs[j].Nodes[k]; n.Address.Addr() == a {
					return fmt.Sprintf("%s is the address of node %s", a, NodeName(b.Configs[j].Key(b.Label), n.Label))
				}
			}
		}
	}
	return ""
}

// What is said when there is no address to give.
const (
	PoolUsedUp = "no free address is left in vip_pool: remove balancers, or add a prefix to the configuration of this host"
	PoolEmpty  = "no VIP is left to give: vip_pool is empty in the configuration of this host"
)

// Give gives a balancer that has no VIP the next free one of each family that the pool has. It returns why it
// cannot, else "".
func (p *Pool) Give(b *Balancer, balancers []Balancer) string {
	if !p.Has(false) && !p.Has(true) {
		return PoolEmpty
	}
	var left4, left6 bool
	b.IPv4, left4 = p.Next(false, balancers)
	b.IPv6, left6 = p.Next(true, balancers)
	if !left4 || !left6 {
		b.IPv4, b.IPv6 = netip.Addr{}, netip.Addr{}
		return PoolUsedUp
	}
	return ""
}
