package daemon

import (
	"fmt"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// portsWarn is the share of a node's source ports from which on people are warned that they may run out.
const portsWarn = 0.7

// detail adds to nodes what takes a look at all of them, or at the flow table, and warns of what runs out.
func (l looker) detail(configs []api.Config, states []maps.NodeState) (warnings []string) {
	ports, ending := maps.PortsUsed(states), map[uint32]bool{}
	each := func(do func(*api.Node)) {
		for i := range configs {
			for j := range configs[i].Nodes {
				do(&configs[i].Nodes[j])
			}
		}
	}
	each(func(n *api.Node) {
		use := ports[n.Entry]
		n.SourcePortsUsed, n.SourcePorts = use.Active, use.Ports
		if use.Share() >= portsWarn {
			warnings = append(warnings, portsLow(n.Name, use))
		}
		if isEnding(n) && n.ActiveFlows > 0 {
			ending[n.Entry] = true
		}
	})
	if len(ending) > 0 {
		oldest := l.reader.OldestFlows(ending)
		each(func(n *api.Node) {
			if age, ok := oldest[n.Entry]; ok {
				ms := age.Milliseconds()
				n.OldestFlowMS = &ms
			}
		})
	}
	return bounded(warnings, "nodes are short of source ports")
}

// isEnding says whether a node's flows are to end.
func isEnding(n *api.Node) bool {
	return n.Mode == string(lb.Drain) || n.Mode == string(lb.Reject) || n.Lifecycle == api.Removed
}

func portsLow(node string, use maps.PortUse) string {
	what := "another snat address gives it 64,000 more"
	if use.Active >= use.Ports {
		what = "new flows are refused (no_port) unless they can have the port of one that is half-open or closing; " + what
	}
	return fmt.Sprintf("%s has %d%% of its source ports in use (%d of %d): %s", node, int(100*use.Share()), use.Active, use.Ports, what)
}

// warningsMost bounds how many nodes are named in warnings of one kind: a lost link may cut off thousands.
const warningsMost = 8

// bounded cuts warnings of one kind, and says how many more there are of it.
func bounded(warnings []string, kind string) []string {
	if more := len(warnings) - warningsMost; more > 0 {
		return append(warnings[:warningsMost:warningsMost], fmt.Sprintf("%d more %s", more, kind))
	}
	return warnings
}
