package e2e

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// path is a site whose client and node are each two routers away from the balancer:
//
//	user ─ r1 ─ r2 ─ balancer ─ r3 ─ r4 ─ server
type path struct {
	*site
	user, server   *lab.Namespace
	r1, r2, r3, r4 *lab.Namespace
}

// Networks of a path beyond its star, whose client is r2 and whose node is r3: user ─ r1, r1 ─ r2, r3 ─ r4, r4 ─ server.
var pathNets = []string{"10.81.1", "10.81.2", "10.81.3", "10.81.4"}

func pathAddr(net, host, family int) netip.Addr {
	if family == 6 {
		return netip.MustParseAddr(fmt.Sprintf("fd81:%d::%d", net+1, host))
	}
	return netip.MustParseAddr(fmt.Sprintf("%s.%d", pathNets[net], host))
}

func newPath(t *testing.T) *path {
	t.Helper()
	s := newSite(t, 1, smallTable)
	p := &path{site: s, r2: s.star.Client, r3: s.star.Nodes[0]}
	for _, n := range []struct {
		name string
		ns   **lab.Namespace
	}{{"user", &p.user}, {"r1", &p.r1}, {"r4", &p.r4}, {"server", &p.server}} {
		ns, err := s.star.Lab.Namespace(n.name)
		s.must(err)
		*n.ns = ns
	}
	p.connect(0, p.user, "eth0", p.r1, "user")
	p.connect(1, p.r1, "r2", p.r2, "r1")
	p.connect(2, p.r3, "r4", p.r4, "r3")
	p.connect(3, p.r4, "server", p.server, "eth0")
	for _, ns := range []*lab.Namespace{p.r1, p.r2, p.r3, p.r4} {
		s.must(ns.Sysctl("net/ipv4/ip_forward", "1"))
		s.must(ns.Sysctl("net/ipv6/conf/all/forwarding", "1"))
	}
	// Whoever makes packets writes their checksums, or they arrive at the balancer unfinished.
	for _, ns := range []*lab.Namespace{p.user, p.server} {
		s.must(ns.SetFeatures("eth0", map[string]bool{"tx-checksum-ip-generic": false}))
	}
	for _, family := range both {
		all := map[int]string{4: "0.0.0.0/0", 6: "::/0"}[family]
		net := func(i int) string {
			return fmt.Sprintf("%s/%d", pathAddr(i, 0, family), map[int]int{4: 24, 6: 64}[family])
		}
		for _, r := range []struct {
			ns       *lab.Namespace
			dst, dev string
			via      netip.Addr
		}{
			{p.user, all, "eth0", pathAddr(0, 2, family)}, {p.r1, all, "r2", pathAddr(1, 2, family)},
			{p.r2, net(0), "r1", pathAddr(1, 1, family)}, {s.star.Balancer, net(0), "client", s.star.ClientAddr(family)},
			{s.star.Balancer, net(1), "client", s.star.ClientAddr(family)}, {s.star.Balancer, net(2), "node1", s.star.NodeAddr(1, family)},
			{s.star.Balancer, net(3), "node1", s.star.NodeAddr(1, family)}, {p.r3, net(3), "r4", pathAddr(2, 2, family)},
			{p.r4, all, "r3", pathAddr(2, 1, family)}, {p.server, all, "eth0", pathAddr(3, 1, family)},
		} {
			s.must(r.ns.AddRoute(netip.MustParsePrefix(r.dst), r.via, r.dev))
		}
	}
	_, err := peer.StartNode(p.server, peer.NodeOptions{Name: "a", HTTP: "[::]:8080", UDP: "[::]:5353"})
	s.must(err)
	return p
}

// connect joins two namespaces by a network of the path.
func (p *path) connect(net int, a *lab.Namespace, aName string, b *lab.Namespace, bName string) {
	p.t.Helper()
	end := func(ns *lab.Namespace, name string, host int) lab.Port {
		return lab.Port{Namespace: ns, Name: name, Addresses: []netip.Prefix{
			netip.PrefixFrom(pathAddr(net, host, 4), 24), netip.PrefixFrom(pathAddr(net, host, 6), 64),
		}}
	}
	p.must(p.star.Lab.Connect(end(a, aName, 1), end(b, bName, 2)))
}

// narrow gives both ends of a link an MTU.
func (p *path) narrow(mtu int, a *lab.Namespace, aName string, b *lab.Namespace, bName string) {
	p.t.Helper()
	p.must(a.SetMTU(aName, mtu))
	p.must(b.SetMTU(bName, mtu))
}

// balance runs headgate in front of the server.
func (p *path) balance() {
	p.t.Helper()
	config := func(port int, proto string, to int) string {
		return fmt.Sprintf("      - port: %d\n        protocol: %s\n        nodes:\n"+
			"          - {label: far-4, address: \"%v:%d\"}\n          - {label: far-6, address: \"[%v]:%d\"}\n",
			port, proto, pathAddr(3, 2, 4), to, pathAddr(3, 2, 6), to)
	}
	p.run("balancers:\n  - label: web\n    ipv4: 203.0.113.10\n    ipv6: 2001:db8::10\n    configs:\n" +
		config(80, "tcp", 8080) + config(53, "udp", 5353))
}

const transferBytes = 2 << 20

// upload and download move a few megabytes between user and server, over TCP with DF set as always.
func (p *path) upload(family int) error {
	file := p.writeFile("upload", strings.Repeat("0123456789abcdef", transferBytes/16))
	got, err := p.user.Run(p.t.Context(), "curl", "-sS", "--max-time", "5", "--data-binary", "@"+file, "http://"+p.vip(family, 80)+"/upload")
	if err == nil && len(strings.TrimSpace(got)) != 64 {
		err = fmt.Errorf("the server answers %q", got)
	}
	return err
}

func (p *path) download(family int) error {
	_, err := p.user.Run(p.t.Context(), "curl", "-sS", "--max-time", "5", "-o", "/dev/null",
		fmt.Sprintf("http://%s/download?bytes=%d&seconds=0", p.vip(family, 80), transferBytes))
	return err
}

// counted returns how many packets met a reason so far.
func (p *path) counted(reason string) (n int) {
	p.t.Helper()
	for line := range strings.Lines(p.cli("maps", "dump", "reasons")) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == reason {
			fmt.Sscan(fields[1], &n)
		}
	}
	return n
}

// A link on the way that takes less than the others: routers and the balancer itself say so, and who sends
// hears it. What goes first is what has to be told through the balancer: it would know already after the other
// direction, because who knows of a small MTU asks for small segments. For the same reason MTUs go down from one
// case to the next.
func TestPathMTUDiscoveryThroughTheBalancer(t *testing.T) {
	t.Parallel()
	p := newPath(t)
	p.balance()
	upload, download := p.upload, p.download
	for _, c := range []struct {
		what, reason string
		narrow       func()
		first, then  func(family int) error
	}{
		{"between client and balancer", "icmp_translated", func() { p.narrow(1400, p.r1, "r2", p.r2, "r1") }, download, upload},
		{"between balancer and node", "icmp_translated", func() { p.narrow(1380, p.r3, "r4", p.r4, "r3") }, upload, download},
		{"from balancer to node", "too_big", func() { p.narrow(1340, p.star.Balancer, "node1", p.r3, "eth0") }, upload, download},
		{"from balancer to client", "too_big", func() { p.narrow(1300, p.star.Balancer, "client", p.r2, "eth0") }, download, upload},
	} {
		c.narrow()
		p.awaitMTUs("client", "node1")
		for _, family := range both {
			before := p.counted(c.reason)
			if err := c.first(family); err != nil {
				t.Errorf("a small MTU %s, IPv%d: %v", c.what, family, err)
			}
			if p.counted(c.reason) == before {
				t.Errorf("a small MTU %s, IPv%d: not one packet was %s, so nothing has been shown", c.what, family, c.reason)
			}
			if err := c.then(family); err != nil {
				t.Errorf("a small MTU %s, IPv%d, the other way: %v", c.what, family, err)
			}
		}
	}
	p.checkCounts()
}

// awaitMTUs waits until the data path knows the MTUs of some of the balancer's links.
func (p *path) awaitMTUs(ifnames ...string) {
	p.t.Helper()
	poll(p.t, soon, "the data path knows the MTUs of the balancer's links", func() bool {
		out := p.cli("maps", "dump", "links")
		for _, ifname := range ifnames {
			index, err := p.star.Balancer.Index(ifname)
			p.must(err)
			mtu, err := p.star.Balancer.MTU(ifname)
			p.must(err)
			if !regexp.MustCompile(fmt.Sprintf(`interface %d mac \S+ mtu %d\b`, index, mtu)).MatchString(out) {
				return false
			}
		}
		return true
	})
}

// Routers between balancer and node show as the VIP, which is all that a client's network knows of them. The
// balancer itself shows if its kernel forwards and has a route to the VIP; else, over IPv4, it does not answer.
func TestTracerouteThroughTheBalancer(t *testing.T) {
	t.Parallel()
	p := newPath(t)
	p.balance()
	trace := func(family int, balancer string) {
		vip := p.star.VIP(family).String()
		want := []string{pathAddr(0, 2, family).String(), pathAddr(1, 2, family).String(), balancer, vip, vip, vip}
		if got := p.traceroute(family); !slices.Equal(got, want) {
			t.Errorf("IPv%d: %q, want %q", family, got, want)
		}
	}
	trace(4, "*")
	p.must(p.star.Balancer.Sysctl("net/ipv4/ip_forward", "1"))
	p.must(p.star.Balancer.Sysctl("net/ipv6/conf/all/forwarding", "1"))
	for _, family := range both {
		vip := p.star.VIP(family)
		p.must(p.star.Balancer.AddRoute(netip.PrefixFrom(vip, vip.BitLen()), p.star.NodeAddr(1, family), "node1"))
		trace(family, p.star.BalancerAddr(0, family).String())
	}
}

// traceroute sends SYNs with growing TTLs to the VIP's port 80 and returns who answers each.
func (p *path) traceroute(family int) (hops []string) {
	p.t.Helper()
	out, err := p.user.Run(p.t.Context(), "traceroute", fmt.Sprintf("-%d", family), "-n", "-q", "1", "-N", "1", "-w", "0.5",
		"-T", "-p", "80", p.star.VIP(family).String())
	p.must(err)
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] != "traceroute" {
			hops = append(hops, fields[1])
		}
	}
	return hops
}
