package api

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/lb"
)

// TestThePlanSaysWhatBecomesOfLiveFlows of nodes that are to take no new ones: they go on, and until when.
func TestThePlanSaysWhatBecomesOfLiveFlows(t *testing.T) {
	before := func() []lb.Balancer {
		c := lb.Config{Port: 80, Protocol: lb.TCP, DrainDeadline: lb.NoDeadline, RejectDeadline: time.Minute, RemoveDeadline: 5 * time.Minute}
		for i := range 4 {
			c.Nodes = append(c.Nodes, node(fmt.Sprintf("web-%d", i+1), fmt.Sprintf("192.0.2.%d:80", i+1), 50, lb.Accept))
		}
		return []lb.Balancer{{ID: 1, Label: "web", IPv4: netip.MustParseAddr("203.0.113.10"), Configs: []lb.Config{c}}}
	}
	flows := map[string]uint64{"web-1": 1, "web-2": 20, "web-3": 300}
	active := func(_ *lb.Balancer, _ *lb.Config, n *lb.Node) uint64 { return flows[n.Label] }
	for _, tt := range []struct {
		name   string
		change func(b *lb.Balancer)
		want   []string
	}{
		{"a weight", func(b *lb.Balancer) { b.Configs[0].Nodes[0].Weight = 7 }, nil},
		{"back to accept", func(b *lb.Balancer) { b.Configs[0].Nodes[0].Mode = lb.Accept }, nil},
		{"to backup", func(b *lb.Balancer) { b.Configs[0].Nodes[0].Mode = lb.Backup }, nil},
		{"drain", func(b *lb.Balancer) { b.Configs[0].Nodes[0].Mode = lb.Drain }, []string{"web/80/web-1 1 mode drain 1 -"}},
		{"two in reject", func(b *lb.Balancer) { b.Configs[0].Nodes[1].Mode, b.Configs[0].Nodes[2].Mode = lb.Reject, lb.Reject },
			[]string{"web/80 2 mode reject 320 1m0s"}},
		{"reject with another deadline", func(b *lb.Balancer) { b.Configs[0].Nodes[1].Mode, b.Configs[0].RejectDeadline = lb.Reject, time.Hour },
			[]string{"web/80/web-2 1 mode reject 20 1h0m0s"}},
		{"one without flows in drain", func(b *lb.Balancer) { b.Configs[0].Nodes[3].Mode = lb.Drain }, nil},
		{"one removed, one in drain", func(b *lb.Balancer) {
			b.Configs[0].Nodes[0].Mode = lb.Drain
			b.Configs[0].Nodes = b.Configs[0].Nodes[:2]
		}, []string{"web/80/web-3 1 removed 300 5m0s", "web/80/web-1 1 mode drain 1 -"}},
		{"another address", func(b *lb.Balancer) { b.Configs[0].Nodes[2].Address = netip.MustParseAddrPort("192.0.2.9:80") }, []string{"web/80/web-3 1 removed 300 5m0s"}},
		{"config removed", func(b *lb.Balancer) { b.Configs = nil }, []string{"web/80 3 removed 321 5m0s"}},
		{"another VIP", func(b *lb.Balancer) { b.IPv4 = netip.MustParseAddr("203.0.113.11") }, []string{"web/80 3 removed 321 5m0s"}},
		{"another label", func(b *lb.Balancer) { b.Label = "www" }, nil},
	} {
		to := before()
		tt.change(&to[0])
		var got []string
		for _, f := range DiffLive(before(), to, active, healthy).Flows {
			until := "-"
			if f.DeadlineMS != nil {
				until = (time.Duration(*f.DeadlineMS) * time.Millisecond).String()
			}
			got = append(got, fmt.Sprint(f.Name, " ", f.Nodes, " ", f.Why, " ", f.Flows, " ", until))
		}
		if strings.Join(got, "; ") != strings.Join(tt.want, "; ") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestE10ThePlanSaysWhatIsReset when a node is set DOWN, or on_down to reset for one that is.
func TestE10ThePlanSaysWhatIsReset(t *testing.T) {
	type config = lb.Config
	active := func(_ *lb.Balancer, _ *lb.Config, n *lb.Node) uint64 {
		return map[string]uint64{"web-1": 1, "web-2": 20}[n.Label]
	}
	down := func(nodes ...int) func(*config) {
		return func(c *config) {
			for _, i := range nodes {
				c.Nodes[i].Override = lb.OverrideDown
			}
		}
	}
	all := func(changes ...func(*config)) func(*config) {
		return func(c *config) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	reset := func(c *config) { c.OnDown = lb.DownReset }
	udp := func(c *config) { c.Protocol = lb.UDP }
	open := func(c *config) { c.OnNoBackend = lb.NoBackendOpen }
	mode := func(m lb.Mode) func(*config) { return func(c *config) { c.Nodes[0].Mode = m } }
	one := []NodeFlows{{Name: "web/80/web-1", Nodes: 1, Why: "override down", Flows: 1, Reset: true}}
	both := []NodeFlows{{Name: "web/80", Nodes: 2, Why: "override down", Flows: 21, Reset: true}}
	minute, none := int64(60_000), []NodeFlows{}
	for _, tt := range []struct {
		name   string
		before func(*config)
		change func(*config)
		want   []NodeFlows
	}{
		{"set DOWN, kept", all(), down(0), none},
		{"set DOWN", reset, down(0), one},
		{"two set DOWN", reset, down(0, 1), both},
		{"from now on they are reset", down(0), reset, one},
		{"both at once", all(), all(down(0), reset), one},
		{"they were before", all(reset, down(0)), func(c *config) { c.Nodes[0].Weight = 7 }, none},
		{"they were before, drain", all(reset, down(0)), mode(lb.Drain), none},
		{"drain and DOWN", reset, all(mode(lb.Drain), down(0)), one},
		{"reject and DOWN", reset, all(mode(lb.Reject), down(0)), []NodeFlows{{Name: "web/80/web-1", Nodes: 1, Why: "mode reject", Flows: 1, DeadlineMS: &minute}}},
		{"out of reject, DOWN", all(reset, down(0), mode(lb.Reject)), mode(lb.Accept), one},
		{"no longer DOWN", all(reset, down(0)), func(c *config) { c.Nodes[0].Override = lb.OverrideNone }, none},
		{"UDP moves", all(reset, udp), down(0), none},
		{"removed", all(reset, down(0)), func(c *config) { c.Nodes = c.Nodes[1:] }, []NodeFlows{{Name: "web/80/web-1", Nodes: 1, Why: "removed", Flows: 1, DeadlineMS: &minute}}},
		{"open, another is left", all(reset, open), down(0), one},
		{"open, nothing is left", all(reset, open), down(0, 1), none},
		{"open, another comes back", all(reset, open, down(0, 1)), func(c *config) { c.Nodes[1].Override = lb.OverrideNone }, one},
	} {
		state := func(changes ...func(*config)) []lb.Balancer {
			c := config{Port: 80, Protocol: lb.TCP, OnDown: lb.DownKeep, DrainDeadline: lb.NoDeadline, RejectDeadline: time.Minute, RemoveDeadline: time.Minute,
				Nodes: []lb.Node{node("web-1", "192.0.2.1:80", 50, lb.Accept), node("web-2", "192.0.2.2:80", 50, lb.Accept)}}
			all(changes...)(&c)
			return []lb.Balancer{{ID: 1, Label: "web", IPv4: netip.MustParseAddr("203.0.113.10"), Configs: []config{c}}}
		}
		got := DiffLive(state(tt.before), state(tt.before, tt.change), active, healthy).Flows
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}
