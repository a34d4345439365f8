package e2e

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/gate"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// newFarSite makes a site whose only node is two hops away, by either of two gateways:
//
//	client ─ balancer ─ gw1 ─ far
//	                  └ gw2 ─┘
//
// The node's addresses are 10.80.0.2 and fd80::2; gw1 is the way to them and back at first.
func newFarSite(t *testing.T) *site {
	t.Helper()
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	star, err := lab.NewStar(l, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, star: star}
	far, err := l.Namespace("far")
	s.must(err)
	s.must(far.AddAddress("lo", netip.MustParsePrefix("10.80.0.2/32")))
	s.must(far.AddAddress("lo", netip.MustParsePrefix("fd80::2/128")))
	for _, i := range []string{"1", "2"} {
		gw, err := l.Namespace("gw" + i)
		s.must(err)
		s.must(gw.Sysctl("net/ipv4/ip_forward", "1"))
		s.must(gw.Sysctl("net/ipv6/conf/all/forwarding", "1"))
		s.must(l.Connect(port(gw, "eth0", "10.78."+i+".2/24", "fd78:"+i+"::2/64"), port(star.Balancer, "gw"+i, "10.78."+i+".1/24", "fd78:"+i+"::1/64")))
		s.must(l.Connect(port(gw, "eth1", "10.79."+i+".1/24", "fd79:"+i+"::1/64"), port(far, "gw"+i, "10.79."+i+".2/24", "fd79:"+i+"::2/64")))
		s.must(gw.PrepareForXDP("eth0"))
		s.must(far.SetFeatures("gw"+i, map[string]bool{"tx-checksum-ip-generic": false}))
		for _, r := range [][2]string{{"10.80.0.2/32", "10.79." + i + ".2"}, {"fd80::2/128", "fd79:" + i + "::2"}} {
			s.must(gw.AddRoute(netip.MustParsePrefix(r[0]), netip.MustParseAddr(r[1]), "eth1"))
		}
		for _, r := range [][2]string{{"10.78." + i + ".0/24", "10.79." + i + ".1"}, {"fd78:" + i + "::/64", "fd79:" + i + "::1"}} {
			s.must(far.AddRoute(netip.MustParsePrefix(r[0]), netip.MustParseAddr(r[1]), "gw"+i))
		}
	}
	s.wayBy("1", star.Balancer.AddRoute)
	star.Nodes = []*lab.Namespace{far}
	s.gate, err = gate.New(l, star.Balancer, headgateBinary, []string{"client", "gw1", "gw2"}, smallTable)
	s.must(err)
	t.Cleanup(s.tellOnFailure)
	return s
}

// One interface for everything: client, balancer and nodes are on one switch, and every packet leaves by the
// interface that it came in by.
func TestOneArm(t *testing.T) {
	t.Parallel()
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	star, err := lab.NewStar(l, 0) // only for its VIPs
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, star: star}
	sw, err := l.Namespace("switch")
	s.must(err)
	var ports []string
	join := func(name string, host string) *lab.Namespace {
		ns, err := l.Namespace(name)
		s.must(err)
		s.must(l.Connect(port(ns, "eth0", "10.90.0."+host+"/24", "fd90::"+host+"/64"), port(sw, name)))
		s.must(ns.PrepareForXDP("eth0"))
		s.must(sw.PrepareForXDP(name))
		ports = append(ports, name)
		return ns
	}
	star.Balancer, star.Client = join("lb", "1"), join("user", "2")
	star.Nodes = []*lab.Namespace{join("one", "11"), join("two", "12")}
	s.must(sw.Bridge("br0", ports...))
	s.must(star.Client.AddRoute(netip.PrefixFrom(star.VIP4, 32), netip.MustParseAddr("10.90.0.1"), "eth0"))
	s.must(star.Client.AddRoute(netip.PrefixFrom(star.VIP6, 128), netip.MustParseAddr("fd90::1"), "eth0"))
	s.gate, err = gate.New(l, star.Balancer, headgateBinary, []string{"eth0"}, smallTable)
	s.must(err)
	t.Cleanup(s.tellOnFailure)
	s.servers()
	s.run(`balancers:
  - label: web
    ipv4: 203.0.113.10
    ipv6: 2001:db8::10
    configs:
      - port: 80
        check: connection
        check_interval: 200ms
        check_timeout: 150ms
        nodes:
          - {label: one-4, address: "10.90.0.11:8080"}
          - {label: two-4, address: "10.90.0.12:8080"}
          - {label: one-6, address: "[fd90::11]:8080"}
          - {label: two-6, address: "[fd90::12]:8080"}
`)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	for _, family := range both {
		wantShares(t, "on one arm", s.exchanges("tcp", family, 80, 20), map[string]int{"a": 10, "b": 10})
		download, err := peer.StartDownload(ctx, star.Client, s.vip(family, 80), 4<<20, time.Second)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := download.Wait(ctx); err != nil {
			t.Error(err)
		}
	}
	s.checkCounts()
}

func port(ns *lab.Namespace, name string, addrs ...string) lab.Port {
	p := lab.Port{Namespace: ns, Name: name}
	for _, a := range addrs {
		p.Addresses = append(p.Addresses, netip.MustParsePrefix(a))
	}
	return p
}

// wayBy adds or replaces the balancer's routes to the far node.
func (s *site) wayBy(gw string, change func(netip.Prefix, netip.Addr, string) error) {
	s.t.Helper()
	s.must(change(netip.MustParsePrefix("10.80.0.2/32"), netip.MustParseAddr("10.78."+gw+".2"), "gw"+gw))
	s.must(change(netip.MustParsePrefix("fd80::2/128"), netip.MustParseAddr("fd78:"+gw+"::2"), "gw"+gw))
}

const farBalancer = `balancers:
  - label: web
    ipv4: 203.0.113.10
    ipv6: 2001:db8::10
    configs:
      - port: 80
        nodes:
          - {label: far-4, address: "10.80.0.2:8080"}
          - {label: far-6, address: "[fd80::2]:8080"}
`

func TestNodeBehindAGatewayAndItsRouteChanges(t *testing.T) {
	t.Parallel()
	s := newFarSite(t)
	s.server(0)
	s.run(farBalancer)
	one := map[string]int{"a": 10}
	held := []*peer.Client{s.hold("tcp", 4, 80, 5), s.hold("tcp", 6, 80, 5)}
	for _, family := range both {
		wantShares(t, "by the first gateway", s.exchanges("tcp", family, 80, 10), one)
	}
	s.wayBy("2", s.star.Balancer.ReplaceRoute)
	for _, name := range []string{"web/80/far-4", "web/80/far-6"} {
		s.nodeEventually(name, "has the second gateway as next hop", func(n api.Node) bool { return strings.Contains(n.NextHop, "gw2") })
	}
	s.eventually("the route is applied", func(st api.Status) bool { return st.Applied == st.Desired })
	// The way by the first gateway is closed for what goes out: who still takes it gets nothing.
	for _, c := range held {
		if r := s.pulse(c); r.Failed != 0 {
			t.Errorf("connections from before the change: %+v", r)
		}
	}
	s.must(s.star.Balancer.LinkDown("gw1"))
	for _, family := range both {
		wantShares(t, "by the second gateway, the first one's link down", s.exchanges("tcp", family, 80, 10), one)
	}
}

func TestNodeWithoutARouteSaysSo(t *testing.T) {
	t.Parallel()
	s := newFarSite(t)
	s.server(0)
	s.must(s.star.Balancer.DeleteRoute(netip.MustParsePrefix("10.80.0.2/32"), netip.MustParseAddr("10.78.1.2"), "gw1"))
	s.run(farBalancer)
	n := s.node("web/80/far-4")
	if !strings.Contains(n.Unreachable, "no route") {
		t.Errorf("status of a node without a route: %+v", n)
	}
	if out := s.cli("status"); !strings.Contains(out, "no route") {
		t.Errorf("status does not say it:\n%s", out)
	}
	s.wayBy("1", s.star.Balancer.ReplaceRoute)
	s.nodeEventually("web/80/far-4", "is reachable", func(n api.Node) bool { return n.Unreachable == "" && n.NextHop != "" })
	wantShares(t, "once there is a route", s.exchanges("tcp", 4, 80, 5), map[string]int{"a": 5})
}

func TestNeighbourLost(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, both)}))
	const name = "web/80/node-a"
	t.Run("it does not answer any more", func(t *testing.T) {
		s.must(s.star.Nodes[0].Sysctl("net/ipv4/conf/eth0/arp_ignore", "8")) // answer nobody
		s.must(s.star.Balancer.FlushNeighbours("node1"))
		s.nodeEventually(name, "is not reachable", func(n api.Node) bool { return strings.Contains(n.Unreachable, "10.77.1.2") })
		s.must(s.star.Nodes[0].Sysctl("net/ipv4/conf/eth0/arp_ignore", "0"))
		s.nodeEventually(name, "is reachable", func(n api.Node) bool { return n.Unreachable == "" })
	})
	t.Run("another takes its address", func(t *testing.T) {
		held := s.hold("tcp", 4, 80, 2)
		mac, err := net.ParseMAC("02:00:00:00:77:01")
		s.must(err)
		s.must(s.star.Nodes[0].SetMAC("eth0", mac))
		s.must(s.star.Balancer.FlushNeighbours("node1"))
		s.nodeEventually(name, "has the new MAC", func(n api.Node) bool { return strings.Contains(n.NextHop, mac.String()) })
		s.eventually("it is applied", func(st api.Status) bool { return st.Applied == st.Desired })
		if r := s.pulse(held); r.Failed != 0 {
			t.Errorf("connections from before: %+v", r)
		}
	})
	wantShares(t, "after all that", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
}

func TestLinkDownAndUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	// As an operator would have it: addresses survive.
	s.must(s.star.Balancer.Sysctl("net/ipv6/conf/node1/keep_addr_on_down", "1"))
	s.run(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(2, 8080, both)}))
	held := s.hold("tcp", 4, 80, 2)
	s.must(s.star.Balancer.LinkDown("node1"))
	for _, name := range []string{"web/80/node-a", "web/80/node6-a"} {
		s.nodeEventually(name, "is DOWN and says why", func(n api.Node) bool { return n.Health == "DOWN" && n.Unreachable != "" })
	}
	s.eventually("it is applied", func(st api.Status) bool { return st.Applied == st.Desired })
	for _, family := range both {
		wantShares(t, "with a link down", s.exchanges("tcp", family, 80, 10), map[string]int{"b": 10})
	}
	s.must(s.star.Balancer.LinkUp("node1"))
	for _, name := range []string{"web/80/node-a", "web/80/node6-a"} {
		s.nodeEventually(name, "is back", func(n api.Node) bool { return n.Health == "UP" && n.Unreachable == "" })
	}
	s.eventually("it is applied", func(st api.Status) bool { return st.Applied == st.Desired })
	for _, family := range both {
		wantShares(t, "with the link up again", s.exchanges("tcp", family, 80, 10), map[string]int{"a": 5, "b": 5})
	}
	if r := s.pulse(held); r.Failed != 0 {
		t.Errorf("connections from before: %+v", r)
	}
}
