package maps

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/packet"
)

// withProgram loads the real program on maps of its own.
func withProgram(t *testing.T) (*Kernel, *ebpf.Program) {
	if os.Getuid() != 0 {
		t.Skip("loading BPF programs takes root")
	}
	coll, err := loader.Unpinned(loader.Options{FlowsV4: 1024, FlowsV6: 1024, Sticks: 16384})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	m := &loader.Maps{}
	if err := coll.Assign(m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loader.CloseMaps(m) })
	k, err := NewKernel(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k, coll.Programs["headgate"]
}

// serve writes a service with one node, as small as it can be.
func serve(t *testing.T, k *Kernel, id uint32, vip VIP, node netip.AddrPort, source netip.Addr) {
	t.Helper()
	for i, err := range []error{
		k.WriteLink(LinkSlot(1, 0), Link{IfIndex: 1, MAC: [6]byte{2, 0, 0, 0, 0, 1}}),
		k.WriteSNAT(uint16(id), source),
		k.StartNode(id, 7),
		k.WriteNode(id, Node{
			Status: Status{Mode: lb.Accept, Health: lb.Up, Lifecycle: Present, Actions: TakesNew}, Address: node,
			Protocol: vip.Protocol, Service: id, Idle: Idle{TCP: time.Hour, UDP: time.Minute},
			SNATs: SNATRange{First: uint16(id), Count: 1}, Hop: Hop{Link: LinkSlot(1, 0), MAC: [6]byte{2, 0, 0, 0, 0, 9}},
		}),
		k.WriteServiceInfo(id, ServiceInfo{VIP: vip, Balancer: "web"}),
		k.WriteSlots(id*8, PackNodes([]uint32{id, id})),
		k.WriteService(id, ServiceWord{Offset: id * 8, Length: 2}),
		setOurs(k, vip.Addr), setOurs(k, source),
		k.PutVIP(vip, id),
	} {
		if err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
}

func setOurs(k Tables, a netip.Addr) error {
	i, bit := OursBit(a)
	word, err := k.ReadOurs(i)
	if err != nil {
		return err
	}
	return k.WriteOurs(i, word|1<<bit)
}

func run(t *testing.T, p *ebpf.Program, frame []byte) {
	t.Helper()
	if _, err := p.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}); err != nil {
		t.Fatal(err)
	}
}

// TestProgramAndReaderAgree lets the real program make flows from what is written here, and reads
// them back: addresses, ports, bitmap, hash, buckets, hops, counts and times are as both see them.
func TestProgramAndReaderAgree(t *testing.T) {
	k, program := withProgram(t)
	vip4 := VIP{netip.MustParseAddr("203.0.113.10"), 80, lb.TCP}
	vip6 := VIP{netip.MustParseAddr("2001:db8::10"), 53, lb.UDP}
	serve(t, k, 1, vip4, netip.MustParseAddrPort("10.0.0.9:8080"), netip.MustParseAddr("10.0.0.1"))
	serve(t, k, 2, vip6, netip.MustParseAddrPort("[2001:db8:1::9]:5353"), netip.MustParseAddr("2001:db8:1::1"))

	const each = 50
	for port := uint16(5000); port < 5000+each; port++ {
		run(t, program, packet.MustEncode(fmt.Sprintf("eth 02:00:00:00:00:02 > 02:00:00:00:00:01\n"+
			"ipv4 198.51.100.7 > 203.0.113.10\ntcp %d > 80 S seq 1000 win 64240", port)))
		run(t, program, packet.MustEncode(fmt.Sprintf("eth 02:00:00:00:00:02 > 02:00:00:00:00:01\n"+
			"ipv6 2001:db8:9::7 > 2001:db8::10\nudp %d > 53\ndata \"hello\"", port)))
	}

	r := k.Reader()
	if faults := r.Check(); len(faults) > 0 {
		t.Errorf("flow table: %q", faults)
	}
	want := map[FlowKind]uint64{{1, HalfOpen}: each, {2, UDPSession}: each}
	if got := r.CountFlows(FlowFilter{}); len(got) != 2 || got[FlowKind{1, HalfOpen}] != each || got[FlowKind{2, UDPSession}] != each {
		t.Errorf("flows %v, want %v", got, want)
	}
	found := 0
	for f := range r.Flows(FlowFilter{Family: 6}) {
		found++
		if f.Protocol != lb.UDP || f.Client.Addr() != netip.MustParseAddr("2001:db8:9::7") || f.VIP != netip.AddrPortFrom(vip6.Addr, 53) ||
			f.Node != netip.MustParseAddrPort("[2001:db8:1::9]:5353") || f.Source.Addr() != netip.MustParseAddr("2001:db8:1::1") ||
			f.PacketsIn != 1 || f.BytesIn != 40+8+5 || f.PacketsOut != 0 || f.Age > time.Minute || f.Idle > time.Minute {
			t.Fatalf("flow %+v", f)
		}
	}
	if found != each {
		t.Errorf("%d IPv6 flows, want %d", found, each)
	}
	checkUse(t, k, each)
}

// checkTraffic compares what is read of all ids at once with what is read of each.
func checkTraffic(t *testing.T, k *Kernel) {
	t.Helper()
	next := uint32(0)
	err := k.eachTraffic(func(id uint32, all Traffic) bool {
		one, err := k.nodeTraffic(id)
		if err != nil || id != next || one != all {
			t.Errorf("id %d instead of %d: %+v among all, %+v alone, %v", id, next, all, one, err)
			return false
		}
		next++
		return true
	})
	if err != nil || next != k.Limits().Nodes {
		t.Errorf("the traffic of %d ids was read, not %d: %v", next, k.Limits().Nodes, err)
	}
}

// checkUse looks at what the program counted, and at what its flows hold on to.
func checkUse(t *testing.T, k *Kernel, each uint64) {
	t.Helper()
	nodes, err := k.Reader().Nodes()
	if err != nil || len(nodes) != 2 {
		t.Fatalf("nodes %v, %v; want 2", nodes, err)
	}
	for _, n := range nodes {
		if n.Active != each || n.Traffic.Flows != each || n.Traffic.PacketsIn != each {
			t.Errorf("node %d: %d active, %+v; want %d of each", n.ID, n.Active, n.Traffic, each)
		}
	}
	checkTraffic(t, k)
	u, err := k.InUse()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"203.0.113.10", "10.0.0.1", "2001:db8::10", "2001:db8:1::1"} {
		if !u.Ours.Has(netip.MustParseAddr(a)) {
			t.Errorf("%s is not said to be in use", a)
		}
	}
	if !u.Node(1) || !u.Node(2) || u.Node(3) || !u.Link(LinkSlot(1, 0)) || u.Link(0) {
		t.Errorf("in use: nodes %b, links %b", u.Nodes[0], u.Links)
	}
	reasons, err := k.Reader().Reasons()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range reasons {
		if want := 2 * each; c.Name == "new_flow" && c.Packets != want {
			t.Errorf("new_flow: %d packets, want %d", c.Packets, want)
		}
	}
}

// TestAServiceIsNotFoundByAGuessThatIsNoLongerTrue moves a VIP to another service, and takes it away, after the program
// has found its service and remembers it.
func TestAServiceIsNotFoundByAGuessThatIsNoLongerTrue(t *testing.T) {
	k, program := withProgram(t)
	vip := VIP{netip.MustParseAddr("203.0.113.10"), 80, lb.TCP}
	serve(t, k, 1, vip, netip.MustParseAddrPort("10.0.0.9:8080"), netip.MustParseAddr("10.0.0.1"))
	port := uint16(5000)
	connect := func(want map[FlowKind]uint64) {
		t.Helper()
		for range 2 { // the second time by the guess
			run(t, program, packet.MustEncode(fmt.Sprintf("eth 02:00:00:00:00:02 > 02:00:00:00:00:01\n"+
				"ipv4 198.51.100.7 > 203.0.113.10\ntcp %d > 80 S seq 1000 win 64240", port)))
			port++
		}
		if got := k.Reader().CountFlows(FlowFilter{}); !maps.Equal(got, want) {
			t.Errorf("flows %v, want %v", got, want)
		}
	}
	connect(map[FlowKind]uint64{{1, HalfOpen}: 2})
	serve(t, k, 2, vip, netip.MustParseAddrPort("10.0.0.8:8080"), netip.MustParseAddr("10.0.0.2"))
	connect(map[FlowKind]uint64{{1, HalfOpen}: 2, {2, HalfOpen}: 2})
	must(t, k.DeleteVIP(vip))
	connect(map[FlowKind]uint64{{1, HalfOpen}: 2, {2, HalfOpen}: 2})
	must(t, k.PutVIP(vip, 1))
	connect(map[FlowKind]uint64{{1, HalfOpen}: 4, {2, HalfOpen}: 2})
}
