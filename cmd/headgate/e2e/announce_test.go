package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/gate"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// network is one network of hosts at a switch, with the VIPs in its subnets: a client without a route to
// anywhere, two balancers, a node, and a host for mischief.
//
//	client ─┐
//	node   ─┤ switch ├─ gate 1
//	other  ─┘        └─ gate 2
type network struct {
	t             *testing.T
	client, other *lab.Namespace
	gates         [2]*site // their star is empty
	vips          []netip.Addr
}

func hostOf(family, number int) netip.Prefix {
	if family == 6 {
		return netip.MustParsePrefix(fmt.Sprintf("fd00:88::%d/64", number))
	}
	return netip.MustParsePrefix(fmt.Sprintf("10.88.0.%d/24", number))
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	newLab := func() *lab.Lab {
		l, err := lab.New()
		must(err)
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		return l
	}
	l := newLab()
	hub, err := l.Namespace("switch")
	must(err)
	n := &network{t: t, vips: []netip.Addr{hostOf(4, 100).Addr(), hostOf(6, 100).Addr()}}
	hosts := map[string]*lab.Namespace{}
	var ports []string
	for i, name := range []string{"client", "node", "other", "gate1", "gate2"} {
		hosts[name], err = l.Namespace(name)
		must(err)
		here := lab.Port{Namespace: hosts[name], Name: "eth0", Addresses: []netip.Prefix{hostOf(4, i+1), hostOf(6, i+1)}}
		must(l.Connect(here, lab.Port{Namespace: hub, Name: name}))
		must(hub.PrepareForXDP(name))
		if !strings.HasPrefix(name, "gate") {
			must(hosts[name].PrepareForXDP("eth0"))
		}
		ports = append(ports, name)
	}
	must(hub.Bridge("br0", ports...))
	must(hub.AwaitCarrier("br0"))
	_, err = peer.StartNode(hosts["node"], peer.NodeOptions{Name: "a", HTTP: "[::]:8080"})
	must(err)
	n.client, n.other = hosts["client"], hosts["other"]
	for i := range n.gates {
		g, err := gate.New(newLab(), hosts[fmt.Sprintf("gate%d", i+1)], headgateBinary, []string{"eth0"}, smallTable)
		must(err)
		n.gates[i] = &site{t: t, gate: g, star: &lab.Star{}}
		t.Cleanup(n.gates[i].tellOnFailure)
		must(g.Configure(n.file(false)))
		must(g.Start(t.Context()))
	}
	return n
}

// file declares the balancer.
func (n *network) file(announce bool) string {
	return fmt.Sprintf("balancers: [{label: web, ipv4: %s, ipv6: %q, announce: %v, configs: [{port: 80, nodes: [{label: node, address: %q}, {label: node6, address: %q}]}]}]\n",
		n.vips[0], n.vips[1], announce, net.JoinHostPort(hostOf(4, 2).Addr().String(), "8080"), net.JoinHostPort(hostOf(6, 2).Addr().String(), "8080"))
}

// curl asks the VIPs of both families, and says whether both answered.
func (n *network) curl(within string) error {
	for _, vip := range n.vips {
		if _, err := n.client.Run(n.t.Context(), "curl", "-sS", "--fail", "--max-time", within, "http://"+net.JoinHostPort(vip.String(), "80")+"/"); err != nil {
			return fmt.Errorf("%s: %w", vip, err)
		}
	}
	return nil
}

// reached asks until both answer.
func (n *network) reached(when string) {
	n.t.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) < soon; {
		if err = n.curl("2"); err == nil {
			return
		}
	}
	n.t.Fatalf("%s: %v", when, err)
}

// flush has the client forget who has the VIPs.
func (n *network) flush() {
	n.t.Helper()
	if err := n.client.FlushNeighbours("eth0"); err != nil {
		n.t.Fatal(err)
	}
}

// held waits until the client believes that both VIPs are at a gate, without asking.
func (n *network) held(gate int) {
	n.t.Helper()
	mac, err := n.gates[gate].gate.Namespace.MAC("eth0")
	n.gates[gate].must(err)
	poll(n.t, soon, fmt.Sprintf("both VIPs are known at gate %d", gate+1), func() bool {
		out, err := n.client.Run(n.t.Context(), "ip", "neigh", "show", "dev", "eth0")
		n.gates[gate].must(err)
		found := 0
		for line := range strings.Lines(out) {
			for _, vip := range n.vips {
				if strings.HasPrefix(line, vip.String()+" ") && strings.Contains(line, mac.String()) {
					found++
				}
			}
		}
		return found == len(n.vips)
	})
}

// TestAnAnnouncedVIPNeedsNoRoute has client and VIP in one subnet: nothing but headgate says where the VIP is.
func TestAnAnnouncedVIPNeedsNoRoute(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	first, second := n.gates[0], n.gates[1]
	if err := n.curl("1"); err == nil {
		t.Fatal("a VIP that nobody announces answers")
	}
	first.cli("balancer", "set", "web", "--announce", "true", "--wait")
	n.reached("announced")
	n.held(0)

	// The data path answers for itself.
	first.must(first.gate.Kill())
	n.flush()
	if err := n.curl("5"); err != nil {
		t.Fatalf("without a daemon, and asked anew: %v", err)
	}
	first.configure(n.file(true)) // or the file would take it back
	first.must(first.gate.Start(t.Context()))
	if out := first.cli("maps", "dump", "announced"); strings.Count(out, "\n") != 2 {
		t.Errorf("announced after a restart:\n%s", out)
	}

	// A second balancer leaves to the first what that holds.
	second.cli("balancer", "set", "web", "--announce", "true", "--wait")
	poll(t, soon, "the second says who has the VIPs", func() bool {
		return strings.Count(second.cli("status"), "is not announced on eth0") == 2
	})
	n.flush()
	n.reached("with a second balancer that wants it")
	n.held(0)
	// The VIPs move: one gives them up, the other announces them, and who knew them where they were learns it.
	second.cli("balancer", "set", "web", "--announce", "false", "--wait")
	first.cli("balancer", "set", "web", "--announce", "false", "--wait")
	second.cli("balancer", "set", "web", "--announce", "true", "--wait")
	n.held(1)
	if err := n.curl("5"); err != nil {
		t.Errorf("by the second balancer: %v", err)
	}
	if out := second.cli("events", "--kind", "interface"); strings.Count(out, "is announced on eth0") != 2 {
		t.Errorf("events of the second balancer:\n%s", out)
	}

	// The kernel takes part in the group by which it is asked for over IPv6, also without a daemon.
	group := func() string {
		out, err := second.gate.Namespace.Run(t.Context(), "ip", "maddress", "show", "dev", "eth0")
		second.must(err)
		return out
	}
	second.must(second.gate.Stop())
	if !strings.Contains(group(), "ff02::1:ff00:100") {
		t.Errorf("without a daemon not in the group:\n%s", group())
	}
	if out := second.cli("detach", "--yes"); strings.Contains(group(), "ff02::1:ff00:100") {
		t.Errorf("detached, but still in the group:\n%s%s", out, group())
	}
}

// TestAConflictIsToldAndEndsInSilence has another host use an address that is announced, once and again.
func TestAConflictIsToldAndEndsInSilence(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	gate := n.gates[0]
	gate.cli("balancer", "set", "web", "--announce", "true", "--wait")
	n.reached("announced")
	// Asks for another host's MAC, and says by that who it is; the answer goes elsewhere.
	use := func(whom netip.Addr) {
		_, _ = n.other.Run(t.Context(), "ping", "-c1", "-W1", "-I", n.vips[0].String(), whom.String())
	}
	intrude := func() {
		gate.must(n.other.AddAddress("eth0", netip.PrefixFrom(n.vips[0], 24)))
		use(hostOf(4, 4).Addr())
	}
	intrude()
	poll(t, soon, "the conflict is told", func() bool {
		return strings.Contains(gate.cli("events", "--kind", "interface"), "uses it, too: it was told that it is ours")
	})
	use(hostOf(4, 1).Addr())
	poll(t, soon, "the address is left", func() bool {
		return strings.Contains(gate.cli("status"), n.vips[0].String()+" is not announced on eth0")
	})
	if out := gate.cli("maps", "dump", "announced"); strings.Contains(out, n.vips[0].String()) || !strings.Contains(out, n.vips[1].String()) {
		t.Errorf("answered for:\n%s", out)
	}
}
