package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/api"
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

// whyRefusing tells the lack of nodes from nodes that take no new flows.
func whyRefusing(c *api.Config, vip string) string {
	is4 := strings.Contains(vip, ".")
	switch {
	case len(c.Nodes) == 0:
		return "it has no nodes"
	case slices.ContainsFunc(c.Nodes, func(n api.Node) bool { return strings.HasPrefix(n.Address, "[") != is4 }):
		return "no node takes new flows there"
	case is4:
		return "it has no IPv4 nodes"
	}
	return "it has no IPv6 nodes"
}
