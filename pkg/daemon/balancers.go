package daemon

import (
	"slices"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// declare adds to configs, which are as the data path has them, what was declared of each, and gives the
// balancers that they belong to.
func declare(configs []api.Config, declared []lb.Balancer) []api.Balancer {
	of := map[string]*lb.Config{}
	for i := range declared {
		b := &declared[i]
		for j := range b.Configs {
			of[b.Configs[j].Key(b.Label).String()] = &b.Configs[j]
		}
	}
	for i := range configs {
		if c := of[configs[i].Name]; c != nil {
			configs[i].ID, configs[i].Settings = c.ID, api.SettingsOf(c, lb.ConfigFields)
			number(configs[i].Nodes, c.Nodes)
		}
	}
	out := make([]api.Balancer, len(declared))
	for i := range declared {
		b := &declared[i]
		out[i] = api.Balancer{ID: b.ID, Name: b.Label, Tags: b.Tags, Addresses: []string{}, Settings: api.SettingsOf(b, lb.BalancerFields), Configs: []string{}}
		for _, vip := range b.VIPs() {
			out[i].Addresses = append(out[i].Addresses, vip.String())
		}
	}
	return gather(out, configs)
}

// number gives those nodes of a config their ids that are declared.
func number(nodes []api.Node, declared []lb.Node) {
	ids := make(map[string]int, len(declared))
	for i := range declared {
		ids[declared[i].Address.String()] = declared[i].ID
	}
	for i := range nodes {
		if nodes[i].Lifecycle != api.Removed {
			nodes[i].ID = ids[nodes[i].Address]
		}
	}
}

// gather lets each balancer say how its configs are. Configs of other balancers are left out.
func gather(balancers []api.Balancer, configs []api.Config) []api.Balancer {
	at := map[string]*api.Balancer{}
	up := map[string]int{}
	for i := range balancers {
		at[balancers[i].Name] = &balancers[i]
	}
	for _, c := range configs {
		b := at[c.Balancer]
		if b == nil {
			continue
		}
		b.Configs = append(b.Configs, c.Name)
		if c.Status != configDown {
			up[b.Name]++
		}
		for _, n := range c.Nodes {
			b.ActiveFlows += n.ActiveFlows
		}
	}
	for i := range balancers {
		b := &balancers[i]
		b.Status = statusOf(up[b.Name], len(b.Configs))
	}
	return balancers
}

// statusOf is the status of a balancer of which so many configs are up.
func statusOf(up, all int) string {
	switch {
	case all == 0:
		return api.BalancerEmpty
	case up == 0:
		return api.BalancerDown
	case up < all:
		return api.BalancerPartly
	}
	return api.BalancerUp
}

// balancersOf are the balancers of which nothing is known but their configs, as when no daemon runs.
func balancersOf(configs []api.Config) []api.Balancer {
	out := []api.Balancer{}
	for _, c := range configs {
		i := slices.IndexFunc(out, func(b api.Balancer) bool { return b.Name == c.Balancer })
		if i < 0 {
			i = len(out)
			out = append(out, api.Balancer{Name: c.Balancer, Addresses: []string{}, Configs: []string{}})
		}
		for _, vip := range c.Addresses {
			if !slices.Contains(out[i].Addresses, vip) {
				out[i].Addresses = append(out[i].Addresses, vip)
			}
		}
	}
	return gather(out, configs)
}
