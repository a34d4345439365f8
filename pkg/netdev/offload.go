package netdev

import (
	"fmt"

	"github.com/safchain/ethtool"
)

// tagFeatures are the offloads that take VLAN tags off frames that come in, as the kernel calls them; ethtool
// calls the first rxvlan.
var tagFeatures = []string{"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"}

// StripsTags says whether an interface of the calling thread's network namespace takes VLAN tags off the
// frames that come in, so that no XDP program sees them.
func (r *Resolver) StripsTags(ifname string) (bool, error) {
	tool, err := ethtool.NewEthtool()
	if err != nil {
		return false, fmt.Errorf("offloads of %s: %w", ifname, err)
	}
	defer tool.Close()
	features, err := tool.Features(ifname)
	if err != nil {
		return false, fmt.Errorf("offloads of %s: %w", ifname, err)
	}
	for _, f := range tagFeatures {
		if features[f] {
			return true, nil
		}
	}
	return false, nil
}
