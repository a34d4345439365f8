package api

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

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
		for _, f := range DiffLive(before(), to, active).Flows {
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
