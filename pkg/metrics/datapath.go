package metrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	packets = counter("packets_total",
		"Packets by why they met their fate, which is passed (to the kernel), forwarded, refused (answered with an error) or dropped.",
		"fate", "reason")
	flowsClosed = counter("flows_closed_total",
		"TCP flows that were closed, by what closed them; they rest a while, and are then removed with the class closing.",
		"family", "reason")
	flowsRemoved = counter("flows_removed_total",
		"Flows that left the table, by why and by their class: swept and expired ones had been idle for too long; room, port: a new flow needed theirs; superseded: their own client began anew.",
		"class", "family", "reason")
	tableSize = gauge("flow_table_entries", "Entries that the flow table has room for; a flow takes two.", "family")
	tableUsed = gauge("flow_table_used_entries",
		"Entries in use by the class of their flow; half-open, closing and UDP flows give way when there is no room.",
		"class", "family")
	clientSize = gauge("client_table_entries", "Clients that can be remembered: where they stick, and how fast they open flows.", "table")
	clientUsed = gauge("client_table_used_entries",
		"Clients that are remembered; when there is no room for another, the one that was seen least recently goes.", "table")
	mapMemory = gauge("map_memory_bytes", "Memory of a BPF map, all CPUs together.", "map")
	programs  = gauge("interface_attached", "1 if the program is attached to the interface, in this XDP mode.", "interface", "mode")
)

// dataPathCollector tells of the data path as a whole.
type dataPathCollector struct{ Sources }

// Describe implements prometheus.Collector.
func (c *dataPathCollector) Describe(to chan<- *prometheus.Desc) {
	describe(to, packets, flowsClosed, flowsRemoved, tableSize, tableUsed, clientSize, clientUsed, mapMemory, programs)
}

// Collect implements prometheus.Collector.
func (c *dataPathCollector) Collect(to chan<- prometheus.Metric) {
	c.reasons(to)
	c.ends(to)
	for _, t := range c.Maps.Fill() {
		family := fmt.Sprintf("ipv%d", t.Family)
		to <- tableSize.of(float64(t.Entries), family)
		for class, n := range t.Used {
			to <- tableUsed.of(float64(n), class.String(), family)
		}
	}
	c.clients(to)
	c.memory(to)
	for _, i := range c.Interfaces() {
		mode := i.Mode
		if mode == "" {
			mode = "none"
		}
		to <- programs.of(number(i.Mode != ""), i.Name, mode)
	}
}

func (c *dataPathCollector) reasons(to chan<- prometheus.Metric) {
	counts, err := c.Maps.Reasons()
	if err != nil {
		fail(to, err, packets)
		return
	}
	for _, r := range counts {
		to <- packets.of(float64(r.Packets), r.Fate, r.Name)
	}
}

func (c *dataPathCollector) ends(to chan<- prometheus.Metric) {
	families, err := c.Maps.FlowEnds()
	if err != nil {
		fail(to, err, flowsClosed, flowsRemoved)
		return
	}
	for _, f := range families {
		family := fmt.Sprintf("ipv%d", f.Family)
		for _, n := range f.Closed {
			to <- flowsClosed.of(float64(n.Flows), family, n.Why)
		}
		for _, n := range f.Removed {
			to <- flowsRemoved.of(float64(n.Flows), n.Class.String(), family, n.Why)
		}
	}
}

func (c *dataPathCollector) clients(to chan<- prometheus.Metric) {
	fill, err := c.Maps.Clients()
	if err != nil {
		fail(to, err, clientSize, clientUsed)
		return
	}
	for _, f := range fill {
		to <- clientSize.of(float64(f.Entries), f.Table)
		to <- clientUsed.of(float64(f.Used), f.Table)
	}
}

func (c *dataPathCollector) memory(to chan<- prometheus.Metric) {
	sizes, err := c.Maps.Memory()
	if err != nil {
		fail(to, err, mapMemory)
		return
	}
	for name, bytes := range sizes {
		to <- mapMemory.of(float64(bytes), name)
	}
}
