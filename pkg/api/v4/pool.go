package v4

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// giveVIPs gives a new balancer its addresses: those that the request asks for, else the next free ones of the
// pool. null asks for none of a family; asking for none at all is asking for any.
func giveVIPs(b *balancer, o *object, d *store.Draft) {
	v4, given4 := o.take("ipv4")
	v6, given6 := o.take("ipv6")
	none4, none6 := given4 && v4.isNull(), given6 && v6.isNull()
	p := &pool{prefixes: b.site.Pool, shunned: b.site.Shunned, balancers: d.Balancers()}
	if none4 && (none6 || !p.has(false)) {
		none4, given4 = false, false
	}
	if none6 && !p.has(true) {
		none6, given6 = false, false
	}
	before := len(o.faults.list)
	if !none4 {
		b.IPv4 = p.give(o, "ipv4", v4, given4)
	}
	if !none6 || !b.IPv4.IsValid() && len(o.faults.list) == before {
		b.IPv6 = p.give(o, "ipv6", v6, given6 && !none6)
	}
	if len(b.VIPs()) == 0 && len(o.faults.list) == before {
		o.fault("ipv4", "no VIP is left to give: vip_pool is empty in the configuration of this host")
	}
}

// pool is what VIPs are given out of.
type pool struct {
	prefixes  []netip.Prefix
	shunned   []netip.Addr  // of the pool, but used by the host
	balancers []lb.Balancer // all there are
}

// give is one address for a balancer. It is not valid when there is no pool of that family.
func (p *pool) give(o *object, key string, v value, given bool) netip.Addr {
	six := key == "ipv6"
	if !given {
		a, left := p.next(six)
		if !left {
			o.fault(key, "no free address is left in vip_pool: remove balancers, or add a prefix to the configuration of this host")
		}
		return a
	}
	text, reason := v.text()
	if reason != "" {
		o.fault(key, "%s", reason)
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Is6() != six {
		o.fault(key, "must be an address as %s has it, not %q", map[bool]string{false: "IPv4", true: "IPv6"}[six], text)
		return netip.Addr{}
	}
	if reason := p.why(a); reason != "" {
		o.fault(key, "%s", reason)
		return netip.Addr{}
	}
	return a
}

func (p *pool) has(six bool) bool {
	return slices.ContainsFunc(p.prefixes, func(x netip.Prefix) bool { return x.Addr().Is6() == six })
}

// next is the first address of a family that nobody has; left is false when all are taken. With no pool
// of that family the address is not valid.
func (p *pool) next(six bool) (a netip.Addr, left bool) {
	if !p.has(six) {
		return netip.Addr{}, true
	}
	for _, prefix := range p.prefixes {
		if prefix.Addr().Is6() != six {
			continue
		}
		for a := prefix.Addr(); a.IsValid() && prefix.Contains(a); a = a.Next() {
			if !reserved(prefix, a) && p.why(a) == "" {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// reserved says that an address of a prefix has a meaning of its own: the network, the broadcast address, the
// routers' anycast address. They are given to who asks for them.
func reserved(p netip.Prefix, a netip.Addr) bool {
	if a.BitLen()-p.Bits() < 2 {
		return false
	}
	return a == p.Addr() || a.Is4() && !p.Contains(a.Next())
}

// why says why a cannot be given; "" when it can.
func (p *pool) why(a netip.Addr) string {
	if reason := lb.AddressReason(a); reason != "" {
		return reason
	}
	if !slices.ContainsFunc(p.prefixes, func(x netip.Prefix) bool { return x.Contains(a) }) {
		return fmt.Sprintf("%s is not in vip_pool of the configuration of this host", a)
	}
	if slices.Contains(p.shunned, a) {
		return fmt.Sprintf("%s is an address that this host sends from", a)
	}
	for i := range p.balancers {
		b := &p.balancers[i]
		if a == b.IPv4 || a == b.IPv6 {
			return fmt.Sprintf("%s is the VIP of balancer %s already", a, b.Label)
		}
		for j := range b.Configs {
			for k := range b.Configs[j].Nodes {
				if n := &b.Configs[j].Nodes[k]; n.Address.Addr() == a {
					return fmt.Sprintf("%s is the address of node %s", a, lb.NodeName(b.Configs[j].Key(b.Label), n.Label))
				}
			}
		}
	}
	return ""
}
