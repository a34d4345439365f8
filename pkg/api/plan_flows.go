package api

import (
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// NodeFlows are the flows that nodes have now which are to have no new ones: they are kept, and end with time.
type NodeFlows struct {
	Name  string `json:"name"`  // of the node, or of the config when it is about several
	Nodes int    `json:"nodes"` // that have such flows
	Why   string `json:"why"`   // removed, mode drain, mode reject
	Flows uint64 `json:"active_flows"`
	// DeadlineMS is how long they may go on; TCP connections are reset then. nil: to their natural end.
	DeadlineMS *int64 `json:"deadline_ms,omitempty"`
}

// Active counts the flows that a node has at this moment.
type Active func(b *lb.Balancer, c *lb.Config, n *lb.Node) uint64

// DiffLive is Diff with what becomes of the flows that there are.
func DiffLive(from, to []lb.Balancer, active Active) Plan {
	p := Diff(from, to)
	for _, pair := range match(from, to, byIdentity(from)) {
		if pair.from != nil {
			p.Flows = append(p.Flows, flowsOfBalancer(pair.from, pair.to, active)...)
		}
	}
	return p
}

func flowsOfBalancer(from, to *lb.Balancer, active Active) (out []NodeFlows) {
	if to == nil {
		to = &lb.Balancer{}
	}
	key := func(c lb.Config) string { return c.Key("").String() }
	for _, pair := range match(from.Configs, to.Configs, key) {
		if pair.from != nil {
			out = append(out, flowsOfConfig(from, to, pair.from, pair.to, active)...)
		}
	}
	return out
}

// flowsOfConfig sums the flows up by what happens to their nodes.
func flowsOfConfig(wasIn, isIn *lb.Balancer, from, to *lb.Config, active Active) []NodeFlows {
	removed := from.RemoveDeadline
	if to == nil {
		to = &lb.Config{}
	} else {
		removed = to.RemoveDeadline
	}
	sums := []NodeFlows{{Why: "removed"}, {Why: "mode drain"}, {Why: "mode reject"}}
	deadlines := []time.Duration{removed, to.DrainDeadline, to.RejectDeadline}
	for _, pair := range match(from.Nodes, to.Nodes, func(n lb.Node) string { return n.Address.String() }) {
		if pair.from == nil {
			continue
		}
		fate := fateOf(wasIn, isIn, pair.from, pair.to)
		if fate < 0 {
			continue
		}
		n := active(wasIn, from, pair.from)
		if n == 0 {
			continue
		}
		s := &sums[fate]
		s.Name = lb.NodeName(from.Key(wasIn.Label), pair.from.Label)
		s.Flows += n
		s.Nodes++
	}
	var out []NodeFlows
	for i, s := range sums {
		if s.Nodes == 0 {
			continue
		}
		if s.Nodes > 1 {
			s.Name = from.Key(wasIn.Label).String()
		}
		if deadlines[i] != lb.NoDeadline {
			ms := deadlines[i].Milliseconds()
			s.DeadlineMS = &ms
		}
		out = append(out, s)
	}
	return out
}

// fateOf says which of the sums of flowsOfConfig a node's flows belong to; -1: none, they go on as they did.
func fateOf(wasIn, isIn *lb.Balancer, from, to *lb.Node) int {
	vip := func(b *lb.Balancer) any {
		if from.Address.Addr().Is4() {
			return b.IPv4
		}
		return b.IPv6
	}
	switch {
	case to == nil || vip(wasIn) != vip(isIn):
		return 0
	case to.Mode == from.Mode:
		return -1
	case to.Mode == lb.Drain:
		return 1
	case to.Mode == lb.Reject:
		return 2
	}
	return -1
}
