package daemon

import (
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/netdev"
)

// probeSource chooses the address that a health check is sent from: the kernel's choice (the zero
// Addr), unless that is a VIP, whose packets the data path takes for a client's.
func (e *engine) probeSource(dst netip.Addr) netip.Addr {
	s := e.published.Load()
	if s == nil {
		return netip.Addr{}
	}
	hop, _ := s.view.Hops.To(dst)
	isVIP := func(a netip.Addr) bool {
		for i := range s.view.Services {
			if s.view.Services[i].VIP == a {
				return true
			}
		}
		return false
	}
	if !hop.Source.IsValid() || !isVIP(hop.Source) {
		return netip.Addr{}
	}
	links := e.network.Links()
	i := slices.IndexFunc(links, func(l netdev.Link) bool { return l.Index == hop.IfIndex })
	if i < 0 {
		return netip.Addr{}
	}
	for _, a := range links[i].Addrs {
		if a.Is4() == dst.Is4() && !a.IsLinkLocalUnicast() && !isVIP(a) {
			return a
		}
	}
	return netip.Addr{}
}
