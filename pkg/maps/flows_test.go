package maps

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// withFlows makes a Fake with nodes 1 (TCP, IPv4) and 2 (UDP, IPv6), and n flows to each.
func withFlows(t *testing.T, n int) *Fake {
	t.Helper()
	f := NewFake(FakeSizes{Buckets4: 256, Buckets6: 256})
	node4, node6 := netip.MustParseAddrPort("10.0.0.9:8080"), netip.MustParseAddrPort("[2001:db8:1::9]:53")
	must(t,
		f.WriteNode(1, Node{Status: Status{Lifecycle: Present}, Address: node4, Protocol: lb.TCP}),
		f.WriteNode(2, Node{Status: Status{Lifecycle: Present}, Address: node6, Protocol: lb.UDP}))
	for i := range n {
		must(t, f.AddFlow(flow4(i)), f.AddFlow(flow6(i)))
	}
	return f
}

func flow4(i int) Flow {
	return Flow{
		Protocol: lb.TCP, Class: FlowClasses[i%3], NodeID: 1,
		Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i % 4)}), uint16(1000+i)),
		VIP:    netip.MustParseAddrPort("203.0.113.10:80"), Node: netip.MustParseAddrPort("10.0.0.9:8080"),
		Source: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(2000+i)),
		Age:    time.Minute, Idle: time.Second, PacketsIn: uint32(i), BytesIn: uint64(i) << 33, PacketsOut: 3, BytesOut: 4,
	}
}

func flow6(i int) Flow {
	return Flow{
		Protocol: lb.UDP, Class: UDPSession, NodeID: 2,
		Client: netip.AddrPortFrom(netip.MustParseAddr("2001:db8:9::1"), uint16(1000+i)),
		VIP:    netip.MustParseAddrPort("[2001:db8::10]:53"), Node: netip.MustParseAddrPort("[2001:db8:1::9]:53"),
		Source: netip.AddrPortFrom(netip.MustParseAddr("2001:db8:1::1"), uint16(2000+i)),
	}
}

func TestFlowsJoinTheirHalves(t *testing.T) {
	f := withFlows(t, 30)
	seen := map[netip.AddrPort]bool{}
	for got := range f.Reader().Flows(FlowFilter{}) {
		seen[got.Client] = true
		i := int(got.Client.Port()) - 1000
		want := flow4(i)
		if got.NodeID == 2 {
			want = flow6(i)
		}
		if d := got.Age - want.Age; d < -time.Second || d > 30*time.Second {
			t.Errorf("flow %d is %s old, want about %s", i, got.Age, want.Age)
		}
		if d := got.Idle - want.Idle; d < -time.Second || d > 30*time.Second {
			t.Errorf("flow %d is idle for %s, want about %s", i, got.Idle, want.Idle)
		}
		got.Age, got.Idle = want.Age, want.Idle
		if got != want {
			t.Errorf("flow %d is %+v, want %+v", i, got, want)
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d flows, want 60", len(seen))
	}
}

func TestFilterSelects(t *testing.T) {
	r := withFlows(t, 30).Reader()
	for _, c := range []struct {
		name string
		q    FlowFilter
		want int
	}{
		{"all", FlowFilter{}, 60},
		{"family", FlowFilter{Family: 6}, 30},
		{"protocol", FlowFilter{Protocol: lb.TCP}, 30},
		{"class", FlowFilter{Class: Established}, 10},
		{"client", FlowFilter{Client: netip.MustParseAddr("198.51.100.1")}, 8},
		{"vip", FlowFilter{VIP: netip.MustParseAddrPort("203.0.113.10:80")}, 30},
		{"other vip", FlowFilter{VIP: netip.MustParseAddrPort("203.0.113.10:81")}, 0},
		{"nodes", FlowFilter{Nodes: map[uint32]bool{2: true}}, 30},
		{"no nodes", FlowFilter{Nodes: map[uint32]bool{}}, 0},
		{"both", FlowFilter{Class: Closing, Client: netip.MustParseAddr("198.51.100.2")}, 3},
	} {
		n, counted := 0, uint64(0)
		for range r.Flows(c.q) {
			n++
		}
		for _, k := range r.CountFlows(c.q) {
			counted += k
		}
		if n != c.want || counted != uint64(c.want) {
			t.Errorf("%s: %d flows, %d counted, want %d", c.name, n, counted, c.want)
		}
	}
}

func TestIterationStopsWhenAsked(t *testing.T) {
	n := 0
	for range withFlows(t, 30).Reader().Flows(FlowFilter{}) {
		if n++; n == 5 {
			break
		}
	}
	if n != 5 {
		t.Errorf("%d flows after break", n)
	}
}

// TestNoFlowIsReadHalfWritten reads while slots change hands between two flows that share nothing.
func TestNoFlowIsReadHalfWritten(t *testing.T) {
	f := NewFake(FakeSizes{Buckets4: 1, Buckets6: 1})
	must(t, f.WriteNode(1, Node{Status: Status{Lifecycle: Present}, Address: flow4(0).Node}))
	a, b := flow4(1), flow4(2)
	b.VIP, b.Source = netip.MustParseAddrPort("203.0.113.99:99"), netip.MustParseAddrPort("10.0.0.99:9999")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		one, other := prepared(a), prepared(b)
		for {
			select {
			case <-stop:
				return
			default:
			}
			replace(f, one)
			replace(f, other)
		}
	})
	reader := f.Reader()
	for range 20_000 {
		for got := range reader.Flows(FlowFilter{}) {
			if (got.Client != a.Client || got.VIP != a.VIP || got.Source != a.Source) &&
				(got.Client != b.Client || got.VIP != b.VIP || got.Source != b.Source) {
				t.Errorf("neither one nor the other: %+v", got)
			}
		}
	}
	close(stop)
	wg.Wait()
}

func TestUsageSaysWhatFlowsHoldOnTo(t *testing.T) {
	f := withFlows(t, 3)
	u, err := f.InUse()
	must(t, err)
	if !u.Node(1) || !u.Node(2) || u.Node(3) || u.Node(1<<20) {
		t.Errorf("nodes %b", u.Nodes[0])
	}
	for a, want := range map[string]bool{"203.0.113.10": true, "10.0.0.1": true, "2001:db8::10": true, "2001:db8:1::1": true, "10.0.0.9": false} {
		if got := u.Ours.Has(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
	f.EndFlows(1)
	if u, _ = f.InUse(); u.Node(1) || u.Ours.Has(netip.MustParseAddr("10.0.0.1")) {
		t.Error("what ended still counts")
	}
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	if faults := withFlows(t, 30).Reader().Check(); len(faults) != 0 {
		t.Fatalf("faults in a good table: %q", faults)
	}
	slotOf := func(f *Fake, forward bool) (bucket, slot uint32) {
		for h := range allHalves(f) {
			if h.forward() == forward {
				return h.ref / bucketSlots, h.ref % bucketSlots
			}
		}
		panic("no such half")
	}
	for name, c := range map[string]struct {
		want  string
		spoil func(f *Fake)
	}{
		"lost half": {"has lost its other half", func(f *Fake) {
			b, s := slotOf(f, false)
			f.flows4[b].Head.Tags[s], f.flows4[b].Head.Stamps[s] = 0, 0
		}},
		"peer elsewhere": {"points elsewhere", func(f *Fake) {
			b, s := slotOf(f, false)
			f.flows4[b].Flows[s].Half.Peer = b<<3 | s
		}},
		"other node": {"have nodes", func(f *Fake) {
			b, s := slotOf(f, true)
			f.flows4[b].Flows[s].Half.Node = 2
		}},
		"no node":   {"no such node", func(f *Fake) { b, s := slotOf(f, true); f.flows4[b].Flows[s].Half.Node = 0 }},
		"free node": {"which is free", func(f *Fake) { must(t, f.WriteNode(1, Node{})) }},
		"not mirrored": {"do not mirror", func(f *Fake) {
			b, s := slotOf(f, true)
			f.flows4[b].Flows[s].NatSport++
		}},
		"other class": {"the halves of", func(f *Fake) {
			b, s := slotOf(f, false)
			f.flows4[b].Head.Stamps[s] = f.flows4[b].Head.Stamps[s]&classMask%3 + 1
		}},
		"class without tag": {"without a tag", func(f *Fake) { b, s := slotOf(f, true); f.flows4[b].Head.Tags[s] = 0 }},
		"tag without class": {"on a free slot", func(f *Fake) { b, s := slotOf(f, true); f.flows4[b].Head.Stamps[s] = 0 }},
		"wrong tag":         {"but the key of", func(f *Fake) { b, s := slotOf(f, true); f.flows4[b].Head.Tags[s] ^= 2 }},
		"wrong class":       {"with protocol tcp", func(f *Fake) { b, s := slotOf(f, true); f.flows4[b].Head.Stamps[s] = uint32(UDPSession) }},
		"no class":          {"no such class", func(f *Fake) { b, s := slotOf(f, true); f.flows4[b].Head.Stamps[s] = 7 }},
		"wrong bucket": {"belongs into bucket", func(f *Fake) {
			b, s := slotOf(f, true)
			to := &f.flows4[(b+1)%256]
			to.Head.Tags[7], to.Head.Stamps[7], to.Flows[7] = f.flows4[b].Head.Tags[s], f.flows4[b].Head.Stamps[s], f.flows4[b].Flows[s]
		}},
		"key twice": {"is there again", func(f *Fake) {
			b, s := slotOf(f, true)
			to := &f.flows4[b]
			to.Head.Tags[7], to.Head.Stamps[7], to.Flows[7] = to.Head.Tags[s], to.Head.Stamps[s], to.Flows[s]
		}},
		"no direction":           {"neither forward nor reply", func(f *Fake) { b, s := slotOf(f, true); f.flows4[b].Flows[s].Word.Flags = 0 }},
		"not said to be spilled": {"of its keys lie in their second", func(f *Fake) { f.flows4[9].Head.Spilled++ }},
		"said to be spilled": {"prefers bucket", func(f *Fake) {
			b, s := slotOf(f, true)
			f.flows4[b].Flows[s].Word.Flags ^= halfSpilled
		}},
		"lock":          {"the lock is taken", func(f *Fake) { f.flows4[9].Head.Lock = 1 }},
		"odd version":   {"the version is odd", func(f *Fake) { f.flows4[9].Flows[3].Word.Version = 1 }},
		"count":         {"active is 21, but the table has 20 flows", func(f *Fake) { f.nodesLive[1].Active++ }},
		"count below 0": {"active is -1, but the table has 0 flows", func(f *Fake) { f.nodesLive[5].Active-- }},
	} {
		t.Run(name, func(t *testing.T) {
			f := withFlows(t, 30)
			c.spoil(f)
			faults := f.Reader().Check()
			if !slices.ContainsFunc(faults, func(s string) bool { return strings.Contains(s, c.want) }) {
				t.Errorf("faults %q, want one that says %q", faults, c.want)
			}
		})
	}
}

func TestSpilledKeysAreCounted(t *testing.T) {
	f := NewFake(FakeSizes{Buckets4: 4, Buckets6: 4})
	must(t, f.WriteNode(1, Node{Status: Status{Lifecycle: Present}, Address: flow4(0).Node, Protocol: lb.TCP}))
	for i := range 200 { // more than there is room for
		_ = f.AddFlow(flow4(i))
	}
	sum := uint32(0)
	for i := range f.flows4 {
		sum += f.flows4[i].Head.Spilled
	}
	if faults := f.Reader().Check(); sum == 0 || len(faults) > 0 {
		t.Errorf("%d spilled in a full table, faults %q", sum, faults)
	}
	f.EndFlows(1)
	if faults := f.Reader().Check(); len(faults) > 0 {
		t.Errorf("faults after all flows ended: %q", faults)
	}
}

func TestCheckDoesNotFloodItsReader(t *testing.T) {
	f := withFlows(t, 200)
	must(t, f.WriteNode(1, Node{}))
	faults := f.Reader().Check()
	if len(faults) != faultsMost+1 || !strings.HasPrefix(faults[faultsMost], "and ") {
		t.Errorf("%d faults, the last %q", len(faults), faults[len(faults)-1])
	}
}

func BenchmarkCountFlows(b *testing.B) {
	f := NewFake(FakeSizes{Buckets4: 1 << 17})
	for i := range 1 << 18 {
		fl := flow4(0)
		fl.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), uint16(i>>16))
		fl.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i >> 15)}), uint16(i))
		f.AddFlow(fl)
	}
	r := f.Reader()
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			r.CountFlows(FlowFilter{})
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			for range r.Flows(FlowFilter{}) {
			}
		}
	})
	b.Run("in use", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.InUse(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
