package daemon

import (
	"cmp"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/schedule"
)

// configsOf makes configs of what the maps say: of all nodes, or of those that keep selects. rate
// gives a node its rates; both may be nil. Configs are sorted by name, nodes stay in their order.
func configsOf(states []maps.NodeState, keep func(maps.NodeState) bool, rate func(maps.NodeState) (flows, bytes *float64)) []api.Config {
	at := map[string]int{}
	configs := []api.Config{}
	for _, s := range states {
		if keep != nil && !keep(s) {
			continue
		}
		key := s.ConfigKey()
		i, ok := at[key.String()]
		if !ok {
			i = len(configs)
			at[key.String()] = i
			configs = append(configs, api.Config{
				Name: key.String(), Balancer: key.Balancer, Protocol: string(key.Protocol), Addresses: []string{}, Status: configDown,
			})
		}
		c := &configs[i]
		if vip := s.VIP.Addr.String(); !slices.Contains(c.Addresses, vip) {
			c.Addresses = append(c.Addresses, vip)
		}
		n := nodeOf(key, s)
		if rate != nil {
			n.NewPerSecond, n.BytesPerSecond = rate(s)
		}
		c.Status = better(c.Status, n)
		if n.TakesNew {
			full(&n, s)
		}
		if n.TakesNew && n.Unreachable != "" && schedule.Effective(s.Status.Health, s.Status.Override) != lb.Up {
			n.TakesNew, n.Why = false, tried+n.Unreachable
		}
		c.Nodes = append(c.Nodes, n)
	}
	slices.SortFunc(configs, func(a, b api.Config) int { return cmp.Compare(a.Name, b.Name) })
	return configs
}

// Statuses of a config.
const (
	configUp     = "UP"
	configBackup = "BACKUP"
	configDown   = "DOWN"
)

// better is the status of a config that has this node too.
func better(status string, n api.Node) string {
	switch {
	case n.TakesNew && n.Mode != string(lb.Backup):
		return configUp
	case n.TakesNew && status == configDown:
		return configBackup
	}
	return status
}

// nodeOf is a node as the maps know it.
func nodeOf(config lb.ConfigKey, s maps.NodeState) api.Node {
	n := api.Node{
		Name: lb.NodeName(config, s.Label), Config: config.String(), Label: s.Label, Address: s.Address.String(),
		Mode: string(s.Status.Mode), Weight: s.Weight, MaxConns: s.Load.MaxConns, Health: string(s.Status.Health), Override: override(s.Status.Override),
		TakesNew: s.Status.Actions&maps.TakesNew != 0, Lifecycle: s.Status.Lifecycle.String(),
	}
	if s.Status.Mode == lb.Reject {
		n.Health, n.Reason = string(lb.Down), "admin"
	}
	if s.Hop.Resolved() {
		n.NextHop = s.Hop.String()
	} else {
		n.Unreachable = "no next hop"
	}
	count(&n, s)
	return n
}

// count fills in what only the maps know.
func count(n *api.Node, s maps.NodeState) {
	n.Entry, n.ActiveFlows, n.Flows = s.ID, s.Active, s.Traffic.Flows
	n.BytesIn, n.BytesOut = s.Traffic.BytesIn, s.Traffic.BytesOut
	if s.Status.Actions&maps.Reports != 0 {
		failed := uint64(0)
		for _, of := range s.Traffic.Failed {
			failed += of
		}
		n.Failed = &failed
	}
	n.CheckedAt = moment(s.CheckedAt)
	n.ModeSince, n.Deadline = moment(s.Since.Truncate(time.Second)), moment(s.Ends.Round(time.Second))
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
