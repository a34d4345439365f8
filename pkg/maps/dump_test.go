package maps

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// dumped returns the dump of a map as lines.
func dumped(t *testing.T, r *Reader, name string) string {
	t.Helper()
	entries, err := r.Dump(name)
	must(t, err)
	var lines []string
	for e, err := range entries {
		must(t, err)
		lines = append(lines, e.Key+": "+e.Value)
	}
	return strings.Join(lines, "\n")
}

func fill(t *testing.T, tb Tables) {
	t.Helper()
	vip := VIP{netip.MustParseAddr("203.0.113.10"), 80, lb.TCP}
	n := someNode
	n.Status.Actions |= HasDeadline
	must(t,
		tb.WriteNode(7, n),
		tb.StartNode(7, 41), tb.WriteSlots(100, append(PackNodes([]uint32{7}), PackMembers([]uint32{7, 8})...)),
		tb.WriteService(5, ServiceWord{Offset: 100, Length: 1, Algorithm: Hash, Limited: true, Stick: true, Throttle: true}),
		tb.WriteStickPolicy(5, StickPolicy{TTL: 30 * time.Minute, Slides: true, Tier: 4}), tb.WriteThrottlePolicy(5, ThrottlePolicy{Group: 3, Rate: 20}),
		tb.WriteSlots(200, PackColumns([]Column{{Own: 7, Alias: 7}, {Threshold: 1 << 31, Own: 8, Alias: 7}})),
		tb.WriteService(7, ServiceWord{Offset: 200, Length: 2, Algorithm: LeastConn}),
		tb.WriteServiceInfo(5, ServiceInfo{VIP: vip, Balancer: "web"}), tb.PutVIP(vip, 5), tb.PutVIP(someVIP, 6),
		tb.WriteLink(1, Link{IfIndex: 1, MAC: [6]byte{2, 0, 0, 0, 0, 1}}), tb.WriteSNAT(2, netip.MustParseAddr("10.0.0.1")),
		tb.WriteOurs(3, 5))
	fillTimes(t, tb)
}

// fillTimes writes what is shown as how long ago it was, or is to come.
func fillTimes(t *testing.T, tb Tables) {
	t.Helper()
	now := time.Now()
	must(t, tb.WriteDeadline(7, tb.Moment(now.Add(90*time.Second))), tb.WriteNodeInfo(7, NodeInfo{
		Label: "web-1", Weight: 50, CheckedAt: time.Unix(1_800_000_000, 0),
		ModeSince: tb.Moment(now.Add(-time.Hour)), RemoveAfter: 5 * time.Minute,
	}))
}

func TestDumpShowsEntriesInUse(t *testing.T) {
	everyTables(t, func(t *testing.T, tb Tables, r *Reader) {
		fill(t, tb)
		for name, want := range map[string]string{
			"vips": "203.0.113.10:80/tcp: service 5\n[2001:db8::10]:53/udp: service 6",
			"services": "5: hash with limits, 1 entries, slots 100+1, when empty refuse, clients stick for 30m0s, tier 4, sliding, 20 flows a second and client in group 3\n" +
				"6: sequence, 0 entries, slots 0+0, when empty refuse\n7: leastconn, 2 entries, slots 200+2, when empty refuse",
			"services_live": "", "services_stats": "", "flows_stats": "",
			"services_info": "5: 203.0.113.10:80/tcp web",
			"slots": "100: nodes 7 (service 5)\n101: 1 words of members (service 5)\n102: members 7 8 (service 5)\n" +
				"200: node 7 (service 7)\n201: node 8 up to 0.5000, else node 7 (service 7)",
			"nodes": "7: 10.0.0.9:8080/tcp present mode drain health DOWN override up actions [dead,reset-tcp,deadline] " +
				"generation 65535 hop 3>02:00:00:00:00:07 service 5 snats 2+3 idle tcp 1h0m0s udp 16s max_conns 100 flows divided by 50 deadline in 1m30s",
			"nodes_live":  "7: active 0 next port 1577",
			"nodes_stats": "7: in 0 packets 0 bytes, out 0 packets 0 bytes, 0 flows",
			"nodes_info":  "7: web-1 weight 50 checked 2027-01-15T08:00:00Z mode set 1h0m0s ago flows 5m0s after removal",
			"snats":       "2: 10.0.0.1",
			"ours":        "3: 0000000000000005 (2 bits)",
			"links":       "1: interface 1 mac 02:00:00:00:00:01 mtu any",
			"tx_ports":    "1: interface 1",
			"flows4":      "", "flows6": "", "reasons": "", "creations": "", "sticks": "", "throttles": "",
		} {
			fillTimes(t, tb) // now: a busy machine may take seconds for all
			if got := dumped(t, r, name); got != want {
				t.Errorf("%s:\n got %s\nwant %s", name, got, want)
			}
		}
		if got := dumped(t, r, "meta"); !strings.HasPrefix(got, "0: schema 3, 250 jiffies a second, made ") || strings.Contains(got, "9e37") {
			t.Errorf("meta: %s", got)
		}
	})
}

func TestTheNextPortGoesRound(t *testing.T) {
	_, defines := abi(t)
	first, count := defines["NAT_PORT_MIN"], defines["NAT_PORT_COUNT"]
	if first != natPortMin || count != natPortCount {
		t.Errorf("the program has %d ports from %d", count, first)
	}
	tb := NewFake(FakeSizes{})
	must(t, tb.StartNode(7, 3*count+5))
	if got, want := dumped(t, tb.Reader(), "nodes_live"), fmt.Sprintf("7: active 0 next port %d", first+5); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDumpOfFlowsShowsBothHalves(t *testing.T) {
	got := dumped(t, withFlows(t, 1).Reader(), "flows6")
	for _, want := range []string{
		"forward udp udp [2001:db8:9::1]:1000 > [2001:db8::10]:53 as [2001:db8:1::1]:2000 > [2001:db8:1::9]:53 node 2 peer ",
		"reply udp udp [2001:db8:1::9]:53 > [2001:db8:1::1]:2000 as [2001:db8::10]:53 > [2001:db8:9::1]:1000 node 2 peer ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("dump\n%s\nlacks %s", got, want)
		}
	}
}

func TestDumpOfAMapThatIsNotThereNamesThoseThatAre(t *testing.T) {
	_, err := NewFake(FakeSizes{}).Reader().Dump("node")
	if err == nil || !strings.Contains(err.Error(), "map node: no such map") || !strings.Contains(err.Error(), "nodes_info") {
		t.Errorf("error %v", err)
	}
}

func TestDumpStopsWhenAsked(t *testing.T) {
	r := withFlows(t, 30).Reader()
	fill(t, &Fake{store: r.store})
	for _, m := range r.tables() {
		entries, err := r.Dump(m.name)
		must(t, err)
		n := 0
		for range entries {
			n++
			break
		}
		if n > 1 {
			t.Errorf("%s: %d entries after break", m.name, n)
		}
	}
}

func TestMapsSayWhatIsUsed(t *testing.T) {
	everyTables(t, func(t *testing.T, tb Tables, r *Reader) {
		fill(t, tb)
		infos, err := r.Maps()
		must(t, err)
		used := map[string]uint64{}
		for _, i := range infos {
			used[i.Name] = i.Used
			if i.What == "" || i.Entries == 0 || i.Bytes == 0 || i.Used > i.Entries {
				t.Errorf("%+v", i)
			}
		}
		for name, want := range map[string]uint64{"vips": 2, "services": 3, "slots": 5, "nodes": 1, "links": 1, "flows4": 0} {
			if used[name] != want {
				t.Errorf("%s: %d used, want %d", name, used[name], want)
			}
		}
	})
}

func TestUsedFlowSlotsAreCounted(t *testing.T) {
	infos, err := withFlows(t, 30).Reader().Maps()
	must(t, err)
	if infos[0].Name != "flows4" || infos[0].Used != 60 || infos[0].Entries != 256*bucketSlots {
		t.Errorf("%+v, want 60 of 2048 used", infos[0])
	}
}

func TestReasonsAreNamedAndSummed(t *testing.T) {
	f := NewFake(FakeSizes{})
	f.CountReason(0, 3)
	f.CountReason(0, 4)
	counts, err := f.Reader().Reasons()
	must(t, err)
	if counts[0].Name != "not_ip" || counts[0].Packets != 7 || counts[1].Packets != 0 {
		t.Errorf("%+v, want 7 packets that are not IP", counts[:2])
	}
}

func TestNodesAndServicesAreListedWithNames(t *testing.T) {
	f := withFlows(t, 3)
	fill(t, f)
	f.SetTraffic(7, Traffic{Flows: 9})
	nodes, err := f.Reader().Nodes()
	must(t, err)
	if len(nodes) != 3 || nodes[0].Active != 2 {
		t.Fatalf("nodes %+v, want three, the first with two active flows", nodes)
	}
	n := nodes[2]
	if n.ID != 7 || n.Label != "web-1" || n.Balancer != "web" || n.VIP.Port != 80 || n.Traffic.Flows != 9 || n.Status.Mode != lb.Drain {
		t.Errorf("node %+v", n)
	}
	services, err := f.Reader().Services()
	must(t, err)
	if len(services) != 1 || services[0].ID != 5 || !services[0].Published || services[0].Word.Length != 1 {
		t.Errorf("services %+v", services)
	}
}
