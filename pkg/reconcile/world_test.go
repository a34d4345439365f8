package reconcile

import (
	"fmt"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/netdev"
)

var (
	vips4  = []string{"203.0.113.10", "203.0.113.11"}
	vips6  = []string{"2001:db8::10"}
	hosts4 = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}
	hosts6 = []string{"2001:db8:1::1", "2001:db8:1::2"}
)

var hostLinks = []netdev.Link{
	{Index: 2, Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, 2}, Up: true},
	{Index: 3, Name: "eth1", MAC: [6]byte{2, 0, 0, 0, 0, 3}, MTU: 1400, Up: true},
	{Index: 258, Name: "eth2", MAC: [6]byte{2, 0, 0, 0, 1, 2}, Up: true}, // first choice as eth0
}

// randomBalancers draws a valid desired state from a small world, so that things meet again.
func randomBalancers(t *rapid.T) []lb.Balancer {
	var out []lb.Balancer
	for i, v4 := range vips4 {
		if !rapid.Bool().Draw(t, "balancer") {
			continue
		}
		b := lb.Balancer{Label: fmt.Sprintf("lb-%d", i), IPv4: netip.MustParseAddr(v4)}
		b.ConnThrottle = rapid.SampledFrom([]int{0, 5, 20}).Draw(t, "throttle")
		b.SessionThrottle = rapid.SampledFrom([]int{0, 5}).Draw(t, "session throttle")
		if i == 0 && rapid.Bool().Draw(t, "ipv6") {
			b.IPv6 = netip.MustParseAddr(vips6[0])
		}
		for _, c := range []lb.Config{{Port: 80, Protocol: lb.TCP}, {Port: 53, Protocol: lb.UDP}} {
			if rapid.Bool().Draw(t, "config") {
				b.Configs = append(b.Configs, randomConfig(t, c, b.IPv6.IsValid()))
			}
		}
		out = append(out, b)
	}
	return out
}

func randomConfig(t *rapid.T, c lb.Config, v6 bool) lb.Config {
	c.OnNoBackend = rapid.SampledFrom([]lb.OnNoBackend{lb.NoBackendReset, lb.NoBackendDrop, lb.NoBackendOpen}).Draw(t, "on_no_backend")
	c.Algorithm = rapid.SampledFrom(lb.AlgorithmsOf(c.Protocol)).Draw(t, "algorithm")
	c.SlowStart = rapid.SampledFrom([]time.Duration{0, 0, time.Minute}).Draw(t, "slow_start")
	c.MinEligible = lb.MinEligible{N: rapid.IntRange(1, 2).Draw(t, "min_eligible")}
	limited := rapid.Bool().Draw(t, "limited")
	c.OnDown = rapid.SampledFrom([]lb.OnDown{lb.DownKeep, lb.DownReset}).Draw(t, "on_down")
	c.TCPIdle = rapid.SampledFrom([]time.Duration{time.Hour, time.Minute}).Draw(t, "tcp_idle")
	c.UDPIdle = 16 * time.Second
	c.Stickiness = rapid.SampledFrom(lb.StickinessesOf(c.Protocol)).Draw(t, "stickiness")
	c.StickTTL = rapid.SampledFrom([]time.Duration{time.Minute, time.Hour}).Draw(t, "stick_ttl")
	c.StickRefresh = rapid.Bool().Draw(t, "stick_refresh")
	deadlines := rapid.SampledFrom([]time.Duration{lb.NoDeadline, time.Second, 90 * time.Second, 2 * time.Hour})
	c.DrainDeadline, c.RejectDeadline = deadlines.Draw(t, "drain_deadline"), deadlines.Draw(t, "reject_deadline")
	c.RemoveDeadline = rapid.SampledFrom([]time.Duration{time.Second, 90 * time.Second}).Draw(t, "remove_deadline")
	c.Check = lb.Check{Type: rapid.SampledFrom([]lb.CheckType{lb.CheckNone, lb.CheckConnection}).Draw(t, "check"), Interval: time.Second}
	hosts := hosts4
	if v6 {
		hosts = append(append([]string{}, hosts4...), hosts6...)
	}
	for i, h := range hosts {
		if !rapid.Bool().Draw(t, "node") {
			continue
		}
		c.Nodes = append(c.Nodes, lb.Node{
			Label:    fmt.Sprintf("n-%d", i),
			Address:  netip.AddrPortFrom(netip.MustParseAddr(h), 8080),
			Weight:   rapid.SampledFrom([]int{1, 2, 3, 50, 211}).Draw(t, "weight"),
			Override: lb.OverrideNone,
			Mode:     rapid.SampledFrom([]lb.Mode{lb.Accept, lb.Accept, lb.Accept, lb.Reject, lb.Drain, lb.Backup}).Draw(t, "mode"),
		})
		if limited && rapid.Bool().Draw(t, "max_conns") {
			c.Nodes[len(c.Nodes)-1].MaxConns = 100
		}
	}
	return c
}

// randomHealth draws results for all nodes that are there.
func randomHealth(t *rapid.T, balancers []lb.Balancer, now time.Time) map[lb.NodeKey]health.Result {
	out := map[lb.NodeKey]health.Result{}
	for _, b := range balancers {
		for _, c := range b.Configs {
			for _, n := range c.Nodes {
				key := lb.NodeKey{Config: c.Key(b.Label), Address: n.Address}
				h := rapid.SampledFrom([]lb.Health{lb.Unknown, lb.Up, lb.Up, lb.Down}).Draw(t, "health")
				out[key] = health.Result{Key: key, Health: h, At: now}
			}
		}
	}
	return out
}

// randomHops draws a way to each host, by one of the links; to some none, unless all are routed.
func randomHops(t *rapid.T, routed bool) map[netip.Addr]netdev.NextHop {
	out := map[netip.Addr]netdev.NextHop{}
	for i, host := range append(append([]string{}, hosts4...), hosts6...) {
		a := netip.MustParseAddr(host)
		l := rapid.SampledFrom(hostLinks).Draw(t, "link")
		h := netdev.NextHop{IfIndex: l.Index, SrcMAC: l.MAC, DstMAC: [6]byte{2, 1, 0, 0, 0, byte(i)}, Source: sourceOf(l, a.Is4())}
		switch rapid.IntRange(0, 9).Draw(t, "way") {
		case 0: // the neighbour does not answer
			h.DstMAC = [6]byte{}
			h.Reason = "does not answer"
		case 1:
			if !routed {
				h = netdev.NextHop{Reason: "no route"}
				break
			}
			fallthrough
		default:
			h.Resolved = true
		}
		out[a] = h
	}
	return out
}

func sourceOf(l netdev.Link, v4 bool) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{10, 0, byte(l.Index >> 8), byte(l.Index)})
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:2::%x", l.Index))
}
