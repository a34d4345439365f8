package api

import (
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// NodeFlows are the flows that nodes have now which are to have no new ones: they are kept, and end with time, or
// they are reset.
type NodeFlows struct {
	Name  string `json:"name"`  // of the node, or of the config when it is about several
	Nodes int    `json:"nodes"` // that have such flows
	Why   string `json:"why"`   // removed, mode drain, mode reject, override down
	Flows uint64 `json:"active_flows"`
	// DeadlineMS is how long they may go on; TCP connections are reset then. nil: to their natural end.
	DeadlineMS *int64 `json:"deadline_ms,omitempty"`
	// Reset says that they do not go on: the next packet of each, from either side, is answered with RST.
	Reset bool `json:"reset,omitempty"`
}

// Active counts the flows that a node has at this moment.
type Active func(b *lb.Balancer, c *lb.Config, n *lb.Node) uint64

// DiffLive is Diff with what becomes of the flows that there are, and of nodes as they are found.
func DiffLive(from, to []lb.Balancer, active Active, down Down) Plan {
	p := diff(from, to, down)
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
	sums := []NodeFlows{
		removedFlows: {Why: "removed"}, drainFlows: {Why: "mode drain"}, rejectFlows: {Why: "mode reject"},
		resetFlows: {Why: "override down", Reset: true},
	}
	deadlines := []time.Duration{removedFlows: removed, drainFlows: to.DrainDeadline, rejectFlows: to.RejectDeadline, resetFlows: lb.NoDeadline}
	for _, pair := range match(from.Nodes, to.Nodes, func(n lb.Node) string { return n.Address.String() }) {
		if pair.from == nil {
			continue
		}
		fate := fateOf(wasIn, isIn, pair.from, pair.to)
		if fate != removedFlows && resets(to, pair.to) {
			fate = resetFlows
			if resets(from, pair.from) {
				fate = sameFlows // they were before
			}
		}
		if fate == sameFlows {
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

// What becomes of a node's flows: they go on as they did, or they belong to one of the sums of flowsOfConfig.
const (
	sameFlows    = iota - 1
	removedFlows // by their places there
	drainFlows
	rejectFlows
	resetFlows
)

// fateOf says what becomes of a node's flows by its address and mode.
func fateOf(wasIn, isIn *lb.Balancer, from, to *lb.Node) int {
	vip := func(b *lb.Balancer) any {
		if from.Address.Addr().Is4() {
			return b.IPv4
		}
		return b.IPv6
	}
	switch {
	case to == nil || vip(wasIn) != vip(isIn):
		return removedFlows
	case to.Mode == from.Mode:
		return sameFlows
	case to.Mode == lb.Drain:
		return drainFlows
	case to.Mode == lb.Reject:
		return rejectFlows
	}
	return sameFlows
}

// resets says whether a node is DOWN because people say so, in a config that resets the flows of such nodes. A node
// in reject is not looked at for that, nor is one that is sent new flows although it is DOWN.
func resets(c *lb.Config, n *lb.Node) bool {
	return c.Protocol == lb.TCP && c.OnDown == lb.DownReset && n.Override == lb.OverrideDown && n.Mode != lb.Reject && !takesDown(c, n)
}

// takesDown says whether a node that is DOWN is sent new flows because nothing else is left, when all nodes
// are healthy that are not set DOWN.
func takesDown(c *lb.Config, n *lb.Node) bool {
	return c.OnNoBackend == lb.NoBackendOpen && n.Mode == lb.Accept && !slices.ContainsFunc(c.Nodes, func(other lb.Node) bool {
		return other.Address.Addr().Is4() == n.Address.Addr().Is4() && other.Override != lb.OverrideDown &&
			(other.Mode == lb.Accept || other.Mode == lb.Backup)
	})
}
