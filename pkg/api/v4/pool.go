package v4

import (
	"net/netip"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// giveVIPs gives a new balancer its addresses: those that the request asks for, else the next free ones of the
// pool. null asks for none of a family; asking for none at all is asking for any.
func giveVIPs(b *balancer, o *object, d *store.Draft) {
	v4, given4 := o.take("ipv4")
	v6, given6 := o.take("ipv6")
	none4, none6 := given4 && v4.isNull(), given6 && v6.isNull()
	p := &pool{b.site.Pool, d.Balancers()}
	if none4 && (none6 || !p.Has(false)) {
		none4, given4 = false, false
	}
	if none6 && !p.Has(true) {
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
		o.fault("ipv4", lb.PoolEmpty)
	}
}

// pool is what VIPs are given out of, beside the balancers that there are.
type pool struct {
	lb.Pool
	balancers []lb.Balancer
}

// give is one address for a balancer. It is not valid when there is no pool of that family.
func (p *pool) give(o *object, key string, v value, given bool) netip.Addr {
	six := key == "ipv6"
	if !given {
		a, left := p.Next(six, p.balancers)
		if !left {
			o.fault(key, lb.PoolUsedUp)
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
	if reason := p.Reason(a, p.balancers); reason != "" {
		o.fault(key, "%s", reason)
		return netip.Addr{}
	}
	return a
}
