package main

import (
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

// E12: a drain is observable: its remaining flows, the age of the oldest, and when the deadline falls.
func TestE12NodeShowTellsHowADrainGoes(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	set, deadline, fell := now.Add(-2*time.Minute), now.Add(3*time.Minute), now.Add(-30*time.Second)
	oldest := int64(3_723_000)
	for name, c := range map[string]struct {
		node api.Node
		want []string
	}{
		"with a deadline": {
			api.Node{Mode: "drain", ModeSince: &set, Deadline: &deadline, OldestFlowMS: &oldest, ActiveFlows: 1234},
			[]string{"mode             drain (set 2m00s ago)", "active flows     1,234", "deadline         in 3m00s, at " + deadline.Local().Format(time.TimeOnly), "oldest flow      1h02m"},
		},
		"without": {
			api.Node{Mode: "reject", ModeSince: &set},
			[]string{"mode             reject (set 2m00s ago)", "deadline         none: flows go on to their natural end", "oldest flow      none"},
		},
		"after it": {
			api.Node{Mode: "accept", Lifecycle: api.Removed, Deadline: &fell, OldestFlowMS: &oldest},
			[]string{"mode             accept\n", "deadline         fell 30s ago, at " + fell.Local().Format(time.TimeOnly)},
		},
		"of a node that takes new flows": {
			api.Node{Mode: "accept", ModeSince: &set, SourcePortsUsed: 46_080, SourcePorts: 64_000},
			[]string{"mode             accept (set 2m00s ago)", "source ports     46,080 of 64,000 in use, 72.0%"},
		},
	} {
		var b strings.Builder
		if err := printNode(&b, c.node, now); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: lacks %q:\n%s", name, want, b.String())
			}
		}
		if takes := c.node.Mode == "accept" && c.node.Lifecycle == ""; takes && strings.Contains(b.String(), "deadline") {
			t.Errorf("%s: speaks of a deadline:\n%s", name, b.String())
		}
	}
}
