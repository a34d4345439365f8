package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// How the flows of a node end that is in drain or reject, or was removed: what a drain waits for, beside the active
// flows and the clients that stick, which every node has.
var (
	nodeOldest = gauge("node_oldest_flow_age_seconds",
		"Age of the oldest active flow of a node that is in drain or reject, or was removed. No series: it has none, or does not end them.",
		"address", "config", "lifecycle", "node")
	nodeDeadline = gauge("node_deadline_timestamp_seconds",
		"When the flows of a node that is in drain or reject, or was removed, are ended. No series: they end by themselves.",
		"address", "config", "lifecycle", "node")
)

// isEnding says whether a node's flows are to end.
func isEnding(s *maps.NodeState) bool {
	return s.Status.Lifecycle == maps.Removed || s.Status.Mode == lb.Drain || s.Status.Mode == lb.Reject
}

// end notes of a node's id what becomes of its flows.
func (t *nodeTotal) end(s *maps.NodeState) {
	if !isEnding(s) {
		return
	}
	if s.Active > 0 {
		t.ending = append(t.ending, s.ID)
	}
	if s.Ends.After(t.ends) {
		t.ends = s.Ends
	}
}

// endings looks at the flow table only if there are flows that are to end.
func (c *nodeCollector) endings(to chan<- prometheus.Metric, totals []*nodeTotal) {
	ending := map[uint32]bool{}
	for _, t := range totals {
		for _, id := range t.ending {
			ending[id] = true
		}
	}
	var oldest map[uint32]time.Duration
	if len(ending) > 0 {
		oldest = c.Maps.OldestFlows(ending)
	}
	for _, t := range totals {
		if !t.ends.IsZero() {
			to <- nodeDeadline.of(float64(t.ends.UnixMilli())/1e3, t.address, t.config, t.lifecycle, t.node)
		}
		age, found := time.Duration(0), false
		for _, id := range t.ending {
			if a, ok := oldest[id]; ok {
				age, found = max(age, a), true
			}
		}
		if found {
			to <- nodeOldest.of(age.Seconds(), t.address, t.config, t.lifecycle, t.node)
		}
	}
}
