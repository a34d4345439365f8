package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// refusing warns of the VIPs whose clients are turned away.
func refusing(configs []api.Config) (out []string) {
	for i := range configs {
		c := &configs[i]
		by := map[string][]string{} // VIPs by why
		for _, vip := range c.Refusing {
			what := whyRefusing(c, vip)
			by[what] = append(by[what], vip)
		}
		for _, what := range slices.Sorted(maps.Keys(by)) {
			out = append(out, fmt.Sprintf("%s: new flows to %s are turned away: %s", c.Name, strings.Join(by[what], " and "), what))
		}
	}
	return out
}

// found warns of the nodes that checks have found DOWN, with the reason. Those that cannot be reached or are ejected are
// warned of apart, and what people have set is no fault.
func found(v *state.View) (out []string) {
	for _, svc := range v.Services {
		for i := range svc.Nodes {
			n := &svc.Nodes[i]
			apart := n.Ejection != nil || !n.Hop.Resolved || n.Mode == lb.Reject || n.Override != lb.OverrideNone
			if n.Health == lb.Down && !apart {
				name := lb.NodeName(svc.Config, n.Label)
				out = append(out, fmt.Sprintf("%s is DOWN: %s (`headgate health %[1]s`)", name, n.Reason))
			}
		}
	}
	return bounded(out, "nodes are DOWN")
}

// whyRefusing tells the lack of nodes from nodes that take no new flows.
func whyRefusing(c *api.Config, vip string) string {
	is4 := strings.Contains(vip, ".")
	some := func(is func(n *api.Node) bool) bool {
		return slices.ContainsFunc(c.Nodes, func(n api.Node) bool { return strings.HasPrefix(n.Address, "[") != is4 && is(&n) })
	}
	switch {
	case len(c.Nodes) == 0:
		return "it has no nodes"
	case some(func(n *api.Node) bool { return n.Why == schedule.Full(n.ActiveFlows, n.MaxConns) }):
		return "each node that takes new flows is full (max_conns)"
	case some(func(*api.Node) bool { return true }):
		return "no node takes new flows there"
	case is4:
		return "it has no IPv4 nodes"
	}
	return "it has no IPv6 nodes"
}
