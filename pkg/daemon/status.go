package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// Status implements api.Look for a running daemon: the view, with the counts of the maps.
func (b *backend) Status(context.Context) (api.Status, error) {
	s := b.d.engine.published.Load()
	states, err := b.reader.Nodes()
	if err != nil {
		return api.Status{}, err
	}
	refused, err := b.refused()
	if err != nil {
		return api.Status{}, err
	}
	closings, removals, err := b.ends()
	if err != nil {
		return api.Status{}, err
	}
	now := time.Now()
	rate := func(n maps.NodeState) (flows, bytes *float64) { return b.d.rates.since(now, n) }
	configs := withRemoved(configsOfView(s.view, states, rate, s.interfaces), states, rate)
	if err := errors.Join(b.countSticks(configs), b.countRefused(configs)); err != nil {
		return api.Status{}, err
	}
	low := b.detail(configs, states)
	balancers := declare(configs, b.d.store.Get().Balancers)
	checks := b.d.engine.checks.Stats()
	started := b.d.started.UTC()
	return api.Status{
		Source: api.FromDaemon, Version: b.d.Version, PID: os.Getpid(), StartedAt: &started,
		Generations: b.d.progress.now(),
		BPFFS:       b.d.config.BPFFS,
		File:        &s.file,
		Interfaces:  s.interfaces,
		ActiveFlows: activeFlows(states),
		Checks:      checkStats(checks),
		Balancers:   balancers,
		Configs:     configs,
		Refused:     refused,
		Closings:    closings,
		Removals:    removals,
		Warnings:    slices.Concat([]string{}, b.d.warnings, s.warnings, refusing(configs), b.unanswered(), unreachable(configs), found(s.view), ejected(s.view, time.Now()), low, nearlyFilled(b.reader.FillFrom(nearlyFull, states)), b.late(), b.capturing()),
	}, nil
}

func activeFlows(states []maps.NodeState) (sum uint64) {
	for _, s := range states {
		sum += s.Active
	}
	return sum
}

// rater gives the rates of a node, nil when they are not known.
type rater = func(maps.NodeState) (flows, bytes *float64)

// place is where a node is found in the maps.
type place struct {
	vip  maps.VIP
	node string
}

func placeOf(s maps.NodeState) place { return place{s.VIP, s.Address.String()} }

// configsOfView makes the configs of a view, in the order of the file: a config with both families
// is one, with the nodes of both. interfaces are those that the program is wanted on.
func configsOfView(v *state.View, states []maps.NodeState, rate rater, interfaces []api.Interface) []api.Config {
	counts := map[place]maps.NodeState{}
	for _, s := range states {
		if s.Status.Lifecycle == maps.Present {
			counts[placeOf(s)] = s
		}
	}
	configs, at := []api.Config{}, map[lb.ConfigKey]int{}
	for i := range v.Services {
		svc := v.Services[i]
		c, ok := at[svc.Config]
		if !ok {
			c = len(configs)
			at[svc.Config] = c
			configs = append(configs, api.Config{
				Name: svc.Config.String(), Balancer: svc.Config.Balancer, Protocol: string(svc.Protocol), Status: configDown, Nodes: []api.Node{},
			})
		}
		config := &configs[c]
		config.Addresses = append(config.Addresses, svc.VIP.String())
		vip := vipOf(svc)
		tier := schedule.None // until a node takes new flows for it
		room := false         // one of those may have another
		for j := range svc.Nodes {
			n := nodeOfView(svc, &svc.Nodes[j])
			h := svc.Nodes[j].Hop
			if port := cmp.Or(h.Parent, h.IfName); h.Resolved && !attached(interfaces, port) && !attached(interfaces, h.IfName) {
				n.Unreachable = fmt.Sprintf("reached by %s, which is not in interfaces: its replies do not come back: add it", port)
			}
			s, ok := counts[place{vip, n.Address}]
			if ok {
				count(&n, s)
				n.NewPerSecond, n.BytesPerSecond = rate(s)
			}
			if n.TakesNew && s.Status.Actions&maps.TakesNew == 0 {
				n.TakesNew, n.Why = false, notInTable
			}
			if n.TakesNew {
				tier = svc.Tier
				room = !full(&n, s) || room
				if n.TakesNew && silent(&svc.Nodes[j]) {
					n.TakesNew, n.Why = false, tried+n.Unreachable
				}
			}
			n.CheckedAt = moment(svc.Nodes[j].CheckedAt)
			config.Nodes = append(config.Nodes, n)
		}
		config.Status = best(config.Status, tier)
		if tier == schedule.None || !room {
			config.Refusing = append(config.Refusing, svc.VIP.String())
		}
	}
	return configs
}

// notInTable is why a node that should takes no new flows: there is no source address to reach it from,
// no room for it, or the view was not written yet.
const notInTable = "takes no new flows: the data path does not have it in its table (see the warnings of `headgate status`)"

// tried begins why a node is no node that takes new flows although they are sent its way.
const tried = "takes no new flows: it is tried, but "

// silent says that a node cannot be reached and that no check has found otherwise: new flows are sent
// its way, by the kernel, and most probably are lost there.
func silent(n *state.Node) bool { return !n.Hop.Resolved && !n.Hop.Pending && n.Effective != lb.Up }

// full says of a node that takes new flows whether it has all that it may have, and then so does the node.
func full(n *api.Node, s maps.NodeState) bool {
	if n.MaxConns == 0 || s.Active < uint64(n.MaxConns) {
		return false
	}
	n.TakesNew, n.Why = false, schedule.Full(s.Active, n.MaxConns)
	return true
}

// best is the status of a config that has a service in this tier too.
func best(status string, tier schedule.Tier) string {
	switch {
	case status == configUp || tier == schedule.Primary || tier == schedule.Open:
		return configUp
	case tier == schedule.Backup:
		return configBackup
	}
	return status
}

func nodeOfView(svc *state.Service, n *state.Node) api.Node {
	out := api.Node{
		Name: lb.NodeName(svc.Config, n.Label), Config: svc.Config.String(), Label: n.Label, Address: n.Key.Address.String(),
		Mode: string(n.Mode), Weight: n.Weight, MaxConns: uint32(n.MaxConns), Health: string(n.Health), Reason: n.Reason, Override: override(n.Override),
		TakesNew: n.Takes, Why: n.Why, Lifecycle: api.Present,
	}
	if n.Mode == lb.Reject {
		out.Health = string(lb.Down)
	}
	if n.Hop.Resolved {
		out.NextHop = hop(n.Key.Address.Addr(), n.Hop)
	} else {
		out.Unreachable = n.Hop.Reason
	}
	return out
}

// override is what people set, empty when they set nothing.
func override(o lb.Override) string {
	if o == lb.OverrideNone {
		return ""
	}
	return string(o)
}

// hop is a next hop in words; only a gateway is one that leads there.
func hop(node netip.Addr, h *netdev.NextHop) string {
	how := "via " + h.Via.String()
	if h.Via == node.WithZone("") {
		how = "directly"
	}
	return fmt.Sprintf("%s on %s, %s", net.HardwareAddr(h.DstMAC[:]), h.IfName, how)
}

// withRemoved adds the nodes that are gone from the view but have flows left.
func withRemoved(configs []api.Config, states []maps.NodeState, rate rater) []api.Config {
	removed := func(s maps.NodeState) bool { return s.Status.Lifecycle == maps.Removed && s.Active > 0 }
	for _, gone := range configsOf(states, removed, rate) {
		i := slices.IndexFunc(configs, func(c api.Config) bool { return c.Name == gone.Name })
		if i < 0 {
			configs = append(configs, gone)
			continue
		}
		configs[i].Nodes = append(configs[i].Nodes, gone.Nodes...)
	}
	return configs
}

// attached says whether the program is wanted on an interface. What comes in by another one it never sees.
func attached(interfaces []api.Interface, name string) bool {
	return slices.ContainsFunc(interfaces, func(i api.Interface) bool { return i.Name == name })
}

// unreachable warns of the nodes that have no next hop, and of those that have one but no way back.
func unreachable(configs []api.Config) (out []string) {
	for _, c := range configs {
		for _, n := range c.Nodes {
			switch {
			case n.Unreachable == "":
			case n.NextHop != "" && n.Lifecycle == api.Present:
				out = append(out, fmt.Sprintf("%s is %s", n.Name, n.Unreachable))
			default:
				out = append(out, fmt.Sprintf("%s cannot be reached: %s", n.Name, n.Unreachable))
			}
		}
	}
	return bounded(out, "nodes cannot be reached")
}

func vipOf(svc *state.Service) maps.VIP {
	return maps.VIP{Addr: svc.VIP, Port: svc.Port, Protocol: svc.Protocol}
}
