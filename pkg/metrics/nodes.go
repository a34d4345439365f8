package metrics

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// What the data path counts of a node.
var (
	nodePackets = counter("node_packets_total", "Packets of the node's flows; in: client to node, out: node to client.",
		"address", "config", "direction", "lifecycle", "node")
	nodeBytes = counter("node_bytes_total", "Bytes of the node's packets from the IP header on.",
		"address", "config", "direction", "lifecycle", "node")
	nodeFlows = counter("node_new_flows_total", "TCP connections and UDP sessions that were given to the node.",
		"address", "config", "lifecycle", "node")
	nodeActive = gauge("node_active_flows", "Flows of the node that are half-open, established or UDP.",
		"address", "config", "lifecycle", "node")
	nodePorts = gauge("node_source_ports_used_ratio",
		"Share of NAT's source ports towards the node's address that active flows hold; at 1 new flows are refused with no_port.",
		"address", "config", "lifecycle", "node")
	nodeFailed = counter("node_failed_connections_total", "Clients' connections that the node failed: it refused them, left three SYNs unanswered, or they did not reach it. No series: nobody looks (check_passive, UDP).",
		"address", "config", "how", "lifecycle", "node")
	reportsLost = counter("failure_reports_lost_total", "Reports of failed connections that the daemon did not take in time; the next one about the node has their number.")
	nodeSticks  = gauge("node_stick_entries", "Clients whose new flows come to the node because they stick to it. No series: none of the config's do.",
		"address", "config", "node")
)

// What people set on a node and what was found out about it.
var (
	nodeWeight = gauge("node_weight", "Weight of the node.", "address", "config", "node")
	nodeMode   = gauge("node_mode", "1 for the mode that people set: accept, reject, drain or backup.",
		"address", "config", "mode", "node")
	nodeHealth = gauge("node_health", "1 for the health that checks found: UP, DOWN or Unknown.",
		"address", "config", "health", "node")
	nodeOverride = gauge("node_override", "1 for the health that people set instead: up or down. No series: none.",
		"address", "config", "node", "override")
	nodeEligible = gauge("node_eligible", "1 if the node takes new flows.", "address", "config", "node")
	nodeResolved = gauge("node_next_hop_resolved", "1 if it is known how to reach the node.", "address", "config", "node")
	nodeChecked  = gauge("node_last_check_timestamp_seconds", "End of the node's last check that had a result.",
		"address", "config", "node")
	nodeDuration = gauge("node_check_duration_seconds", "How long the node's last check took.", "address", "config", "node")
	nodeEjected  = gauge("node_ejected", "1 while the node is taken for DOWN because it fails connections. No series: it is checked, or nobody looks.",
		"address", "config", "node")
)

var (
	countedOfNode  = []*family{nodePackets, nodeBytes, nodeFlows, nodeActive, nodePorts, nodeFailed, reportsLost, nodeSticks, nodeOldest, nodeDeadline}
	declaredOfNode = []*family{nodeWeight, nodeMode, nodeHealth, nodeOverride, nodeEligible, nodeResolved, nodeChecked, nodeDuration, nodeEjected}
)

// nodeCollector tells of every node.
type nodeCollector struct{ Sources }

// Describe implements prometheus.Collector.
func (c *nodeCollector) Describe(to chan<- *prometheus.Desc) {
	describe(to, countedOfNode...)
	describe(to, declaredOfNode...)
}

// Collect implements prometheus.Collector.
func (c *nodeCollector) Collect(to chan<- prometheus.Metric) {
	for _, svc := range c.View().Services {
		config := svc.Config.String()
		for i := range svc.Nodes {
			c.declared(to, config, &svc.Nodes[i])
			if svc.Watched {
				n := &svc.Nodes[i]
				to <- nodeEjected.of(number(n.Ejection != nil && n.Effective == lb.Down && n.Override == lb.OverrideNone), n.Key.Address.String(), config, n.Label)
			}
		}
	}
	states, err := c.Maps.Nodes()
	if err != nil {
		fail(to, err, countedOfNode...)
		return
	}
	lost := uint64(0)
	for i := range states {
		lost += states[i].Trouble.Lost
	}
	to <- reportsLost.of(float64(lost))
	totals := counted(states)
	for _, t := range totals {
		t.collect(to)
	}
	c.sticks(to, totals)
	c.endings(to, totals)
}

// sticks tells how many clients stick to the nodes.
func (c *nodeCollector) sticks(to chan<- prometheus.Metric, totals []*nodeTotal) {
	entries, err := c.Maps.CountSticks()
	if err != nil {
		fail(to, err, nodeSticks)
		return
	}
	for _, t := range totals {
		if t.lifecycle != maps.Present.String() {
			continue
		}
		if word, err := c.Maps.ReadService(t.service); err == nil && word.Stick {
			to <- nodeSticks.of(float64(entries[t.id]), t.address, t.config, t.node)
		}
	}
}

// declared tells what the view says of a node.
func (c *nodeCollector) declared(to chan<- prometheus.Metric, config string, n *state.Node) {
	address := n.Key.Address.String()
	id := labelled(nodeWeight.labels, address, config, n.Label)
	to <- nodeWeight.at(float64(n.Weight), id)
	to <- nodeEligible.at(number(n.Takes), id)
	to <- nodeResolved.at(number(n.Hop.Resolved), id)
	to <- nodeMode.of(1, address, config, string(n.Mode), n.Label)
	to <- nodeHealth.of(1, address, config, string(n.Health), n.Label)
	if n.Override != lb.OverrideNone && n.Override != "" {
		to <- nodeOverride.of(1, address, config, n.Label, string(n.Override))
	}
	if r, checked := c.Checks.Result(n.Key); checked && !r.At.IsZero() {
		to <- nodeChecked.at(float64(r.At.UnixNano())/1e9, id)
		to <- nodeDuration.at(r.Duration.Seconds(), id)
	}
}

// nodeTotal is what the maps have of a node. Several ids may stand for one: a node that was removed twice
// while it had flows.
type nodeTotal struct {
	config, node, address, lifecycle string
	id, service                      uint32 // the first of its ids
	active                           uint64
	reported                         bool // what it fails is counted
	traffic                          maps.Traffic
	ports                            float64   // share in use
	ending                           []uint32  // ids with flows that are to end
	ends                             time.Time // when they do at the latest; zero: by themselves
}

// counted adds up what the maps have, in the order of ids.
func counted(states []maps.NodeState) []*nodeTotal {
	type key struct {
		vip       maps.VIP
		address   netip.AddrPort
		lifecycle maps.Lifecycle
	}
	used := maps.PortsUsed(states)
	totals := map[key]*nodeTotal{}
	var out []*nodeTotal
	for i := range states {
		s := &states[i]
		k := key{s.VIP, s.Address, s.Status.Lifecycle}
		t := totals[k]
		if t == nil {
			t = &nodeTotal{
				config: s.ConfigKey().String(),
				id:     s.ID, service: s.Service, node: s.Label, address: s.Address.String(), lifecycle: s.Status.Lifecycle.String(),
				ports: used[s.ID].Share(),
			}
			totals[k] = t
			out = append(out, t)
		}
		t.active += s.Active
		t.end(s)
		t.reported = t.reported || s.Status.Actions&maps.Reports != 0
		t.traffic.Add(s.Traffic)
	}
	return out
}

func (t *nodeTotal) collect(to chan<- prometheus.Metric) {
	id := labelled(nodeActive.labels, t.address, t.config, t.lifecycle, t.node)
	to <- nodeActive.at(float64(t.active), id)
	to <- nodeFlows.at(float64(t.traffic.Flows), id)
	to <- nodePorts.at(t.ports, id)
	for _, d := range []struct {
		direction      string
		packets, bytes uint64
	}{{"in", t.traffic.PacketsIn, t.traffic.BytesIn}, {"out", t.traffic.PacketsOut, t.traffic.BytesOut}} {
		id := labelled(nodePackets.labels, t.address, t.config, d.direction, t.lifecycle, t.node)
		to <- nodePackets.at(float64(d.packets), id)
		to <- nodeBytes.at(float64(d.bytes), id)
	}
	if !t.reported {
		return
	}
	for _, how := range maps.SignalKinds {
		to <- nodeFailed.of(float64(t.traffic.Failed[how]), t.address, t.config, how.String(), t.lifecycle, t.node)
	}
}
