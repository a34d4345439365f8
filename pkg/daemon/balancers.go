package daemon

import (
	"slices"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// declare adds to configs, which are as the data path has them, what was declared of each, and gives the
// balancers that they belong to.
func declare(configs []api.Config, declared []lb.Balancer) []api.Balancer {
	settings := map[string]api.Settings{}
	for i := range declared {
		b := &declared[i]
		for j := range b.Configs {
			settings[b.Configs[j].Key(b.Label).String()] = api.SettingsOf(&b.Configs[j], lb.ConfigFields)
		}
	}
	for i := range configs {
		configs[i].Settings = settings[configs[i].Name]
	}
	out := make([]api.Balancer, len(declared))
	for i := range declared {
		b := &declared[i]
		out[i] = api.Balancer{Name: b.Label, Addresses: []string{}, Settings: api.SettingsOf(b, lb.BalancerFields), Configs: []string{}}
		for _, vip := range b.VIPs() {
			out[i].Addresses = append(out[i].Addresses, vip.String())
		}
	}
	return gather(out, configs)
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
