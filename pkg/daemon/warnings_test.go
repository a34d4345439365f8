package daemon

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/reconcile"
	"github.com/headgate/headgate/pkg/state"
)

// TestStatusSaysInWordsWhatIsWrong injects faults one at a time and looks for the sentence that a stranger needs.
func TestStatusSaysInWordsWhatIsWrong(t *testing.T) {
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i >> 8)}), uint16(1000+i))
	}
	for _, c := range []struct {
		fault  string
		inject func(t *testing.T, r *rig)
		says   string
	}{
		{"nothing is wrong", func(*testing.T, *rig) {}, ""},
		{"a node is DOWN", func(_ *testing.T, r *rig) { r.checks.result(web1, lb.Down, "connection refused") },
			"web/80/web-1 is DOWN: connection refused (`headgate health web/80/web-1`)"},
		{"all nodes are full", func(t *testing.T, r *rig) {
			r.write(t, strings.Replace(strings.Replace(twoNodes, `11:8080"}`, `11:8080", max_conns: 1}`, 1), "weight: 100}", "mode: drain}", 1))
			r.rereadFile()
			n := r.inMaps(t, "192.0.2.11:8080")
			if err := r.tables.AddFlow(maps.Flow{Protocol: lb.TCP, Class: maps.Established, NodeID: n.ID, Client: at(1), VIP: netip.MustParseAddrPort("203.0.113.10:80"),
				Source: netip.MustParseAddrPort("10.0.0.1:2000"), Node: n.Address}); err != nil {
				t.Fatal(err)
			}
		}, "web/80: new flows to 203.0.113.10 are turned away: each node that takes new flows is full (max_conns)"},
		{"no node is left", func(t *testing.T, r *rig) {
			r.checks.result(web1, lb.Down, "connection refused")
			r.checks.result(lb.NodeKey{Config: web1.Config, Address: netip.MustParseAddrPort("192.0.2.12:8080")}, lb.Down, "no answer")
		}, "web/80: new flows to 203.0.113.10 are turned away: no node takes new flows there"},
		{"a VIP whose family has no nodes", func(t *testing.T, r *rig) {
			r.write(t, strings.Replace(twoNodes, "    configs:", "    ipv6: 2001:db8::10\n    configs:", 1))
			r.rereadFile()
		}, "web/80: new flows to 2001:db8::10 are turned away: it has no IPv6 nodes"},
		{"a config without nodes", func(t *testing.T, r *rig) {
			r.write(t, twoNodes+"      - port: 81\n")
			r.rereadFile()
		}, "web/81: new flows to 203.0.113.10 are turned away: it has no nodes"},
		{"no neighbour", func(_ *testing.T, r *rig) { r.network.unreachable = "192.0.2.11 does not answer ARP"; r.takeNetwork() },
			"web/80/web-1 cannot be reached: 192.0.2.11 does not answer ARP"},
		{"no route", func(_ *testing.T, r *rig) { r.network.unreachable = "no route to it"; r.takeNetwork() },
			"web/80/web-2 cannot be reached: no route to it"},
		{"interface gone", func(_ *testing.T, r *rig) { r.network.setLinks(); r.takeNetwork() },
			"interface eth0 is gone: the program is attached again when it is back"},
		{"interface down", func(_ *testing.T, r *rig) {
			r.network.setLinks(netdev.Link{Index: 2, Name: "eth0"})
			r.takeNetwork()
		}, "interface eth0 is down"},
		{"generic mode", func(_ *testing.T, r *rig) {
			r.attacher.mode = loader.ModeGeneric
			r.network.setLinks(netdev.Link{Index: 9, Name: "eth0", Up: true})
			r.takeNetwork()
		}, "eth0 runs in generic mode, at a fraction of the speed"},
		{"another XDP program", func(_ *testing.T, r *rig) {
			r.attacher.refuse = map[string]error{"eth0": errors.New("attach to eth0: another XDP program is attached there")}
			r.network.setLinks(netdev.Link{Index: 9, Name: "eth0", Up: true})
			r.takeNetwork()
		}, "attach to eth0: another XDP program is attached there"},
		{"file with a fault", func(t *testing.T, r *rig) { r.write(t, "interfaces: [eth0]\nbalancers: [x]\n"); r.rereadFile() },
			"changed nothing; the daemon keeps what it runs:"},
		{"file that cannot be read", func(t *testing.T, r *rig) {
			if err := os.Remove(r.path); err != nil {
				t.Fatal(err)
			}
			r.rereadFile()
		}, "cannot be read, nothing is changed:"},
		{"file differs from what runs", func(t *testing.T, r *rig) {
			if err := os.Chtimes(r.path, time.Now(), time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}, "was changed after it was read, and does not run as it is now: `headgate validate "},
		{"file is gone", func(t *testing.T, r *rig) {
			if err := os.Remove(r.path); err != nil {
				t.Fatal(err)
			}
		}, "cannot be read any more, what runs stays:"},
		{"setting that counts later", func(t *testing.T, r *rig) {
			r.write(t, strings.Replace(twoNodes, "[eth0]", "[eth0, eth1]", 1))
			r.rereadFile()
		},
			"interfaces was changed there and counts from the next start of the daemon"},
		{"maps that cannot be written", func(_ *testing.T, r *rig) {
			r.broken.failures = []error{errors.New("map nodes: no space"), errors.New("map nodes: no space")}
			r.settle(true)
		}, "the data path runs generation 1, 1 is wanted: map nodes: no space"},
		{"maps that are full", func(_ *testing.T, r *rig) {
			r.broken.failures = []error{reconcile.ErrFull, reconcile.ErrFull}
			r.settle(true)
		}, reconcile.ErrFull.Error()},
		{"source address of nobody", func(_ *testing.T, r *rig) { r.file.start.SNAT = []netip.Addr{netip.MustParseAddr("192.0.2.200")} },
			"snat 192.0.2.200 is on no interface of this host: replies come back only if it is routed here"},
		{"node by an interface that is not listed", func(_ *testing.T, r *rig) { r.network.ifName = "eth7"; r.takeNetwork() },
			"reached by eth7, which is not in interfaces: its replies do not come back: add it"},
		{"VLAN tags that the hardware takes off", func(_ *testing.T, r *rig) {
			r.network.strips = true
			r.network.setLinks(append(r.network.Links(), netdev.Link{Index: 7, Name: "eth0.5", Kind: "vlan", Parent: 2, Tags: []netdev.Tag{{Type: 0x8100, ID: 5}}})...)
			r.takeNetwork()
		}, "eth0 takes VLAN tags off before the program sees frames, as those of eth0.5, which are then balanced as if they had none: `ethtool -K eth0 rxvlan off`"},
		{"VIP that nobody answers for", func(_ *testing.T, r *rig) { r.network.addNetwork("203.0.113.1/24"); r.takeNetwork() },
			"web: nobody answers for 203.0.113.10 in the network of eth0: who looks for it there finds nobody, and its packets do not come here: `headgate balancer set web --announce true`"},
		{"flow table nearly full", func(t *testing.T, r *rig) {
			for i := range 200 { // 512 entries; those that find no place are left out
				_ = r.tables.AddFlow(maps.Flow{Protocol: lb.TCP, Class: maps.Established, NodeID: 1, Client: at(i), VIP: netip.MustParseAddrPort("203.0.113.10:80"),
					Source: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(2000+i)), Node: netip.MustParseAddrPort("192.0.2.11:8080")})
			}
		}, "% full of established flows, which never give way: once it is full, new flows are refused (table_full); make flow_table.v4 larger than 512"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			r := newRig(t, twoNodes)
			b := backendOf(r)
			r.ports.update(r.network.Links())
			go func() { // of the checks: somebody listens
				for range r.checks.changed {
				}
			}()
			c.inject(t, r)
			r.state.SetHealth(r.checks.Snapshot())
			r.settle(false)
			st, err := b.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(st.Warnings, "\n")
			if c.says == "" && all != "" || !strings.Contains(all, c.says) {
				t.Errorf("want %q in:\n%s", c.says, all)
			}
		})
	}
}

func TestLateChecksAreSaid(t *testing.T) {
	if w := lagging(health.Stats{MaxLag: time.Hour, LagP99: late - time.Millisecond}); w != nil {
		t.Errorf("%q", w)
	}
	w := lagging(health.Stats{LagP99: 2500 * time.Millisecond, InFlight: 512})
	if len(w) != 1 || !strings.HasPrefix(w[0], "health checks started up to 2.5s late in the last minute: health is older than it says") {
		t.Errorf("%q", w)
	}
}

// A VIP that somebody finds, or that is none of the networks here, is no fault.
func TestVIPsThatAreFoundAreNotWarnedOf(t *testing.T) {
	for name, found := range map[string]func(r *rig){
		"in another network":   func(r *rig) { r.network.addNetwork("203.0.114.1/24") },
		"an address of one":    func(r *rig) { r.network.addNetwork("203.0.113.10/32") },
		"assigned to the link": func(r *rig) { r.network.addNetwork("203.0.113.10/24") },
		"routed to the host":   func(r *rig) { r.network.addNetwork("203.0.113.1/24"); r.network.routed = []netip.Addr{vip4} },
		"announced": func(r *rig) {
			r.network.addNetwork("203.0.113.1/24")
			if _, err := r.store.Update(func(b []lb.Balancer) ([]lb.Balancer, error) { b[0].Announce = true; return b, nil }); err != nil {
				t.Fatal(err)
			}
		},
	} {
		r := newRig(t, twoNodes)
		found(r)
		if w := backendOf(r).unanswered(); len(w) > 0 {
			t.Errorf("%s: %q", name, w)
		}
	}
}

func TestOnlySomeUnansweredVIPsAreAskedFor(t *testing.T) {
	asked := 0
	var all []lb.Balancer
	for i := range 100 {
		all = append(all, lb.Balancer{Label: "web", IPv4: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), Configs: make([]lb.Config, 1)})
	}
	w := unanswered(all, hostWith(), func(*netdev.Link, netip.Addr) (bool, error) { asked++; return false, nil })
	if asked != warningsMost || len(w) != warningsMost+1 || w[warningsMost] != "there may be more VIPs that nobody answers for" {
		t.Errorf("%d asked, %q", asked, w)
	}
}

// A node has one sentence, whatever is wrong with it.
func TestOnlyWhatChecksFindIsSaidToBeDown(t *testing.T) {
	down := state.Node{Key: web1, Label: "web-1", Mode: lb.Drain, Override: lb.OverrideNone, Health: lb.Down, Reason: "no answer within 1s", Hop: &netdev.NextHop{Resolved: true}}
	for name, change := range map[string]func(n *state.Node){
		"found DOWN":  func(*state.Node) {},
		"UP":          func(n *state.Node) { n.Health = lb.Up },
		"ejected":     func(n *state.Node) { n.Ejection = &health.Ejection{} },
		"unreachable": func(n *state.Node) { n.Hop = &netdev.NextHop{} },
		"in reject":   func(n *state.Node) { n.Mode = lb.Reject },
		"set UP":      func(n *state.Node) { n.Override = lb.OverrideUp },
	} {
		n := down
		change(&n)
		w := found(&state.View{Services: []*state.Service{{Config: web1.Config, Nodes: []state.Node{n}}}})
		if want := "web/80/web-1 is DOWN: no answer within 1s (`headgate health web/80/web-1`)"; (name == "found DOWN") != (len(w) == 1 && w[0] == want) || len(w) > 1 {
			t.Errorf("%s: %q", name, w)
		}
	}
}
