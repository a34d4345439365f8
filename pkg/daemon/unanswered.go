package daemon

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/netdev"
)

// unanswered warns of VIPs in the networks of this host's links that nobody there finds: neither are they announced,
// nor does the kernel answer for them. answers asks it; of a VIP elsewhere only its routers know the way.
func unanswered(balancers []lb.Balancer, links []netdev.Link, answers func(*netdev.Link, netip.Addr) (bool, error)) (out []string) {
	for i := range balancers {
		b := &balancers[i]
		if b.Announce || len(b.Configs) == 0 {
			continue
		}
		for _, vip := range b.VIPs() {
			at := slices.IndexFunc(links, func(l netdev.Link) bool { return l.MAC != [6]byte{} && inNetworkOf(&l, vip) })
			if at < 0 {
				continue
			}
			if yes, err := answers(&links[at], vip); err == nil && !yes {
				out = append(out, fmt.Sprintf("%s: nobody answers for %s in the network of %s: who looks for it there finds nobody, and its packets do not come here: "+
					"`headgate balancer set %[1]s --announce true`, unless routers are told to send them here", b.Label, vip, links[at].Name))
			}
			if len(out) == warningsMost { // to ask takes a system call
				return append(out, "there may be more VIPs that nobody answers for")
			}
		}
	}
	return out
}

func (b *backend) unanswered() []string {
	n := b.d.engine.network
	return unanswered(b.d.store.Get().Balancers, n.Links(), n.Answers)
}
