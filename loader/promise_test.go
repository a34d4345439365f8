package loader_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
	"github.com/headgate/headgate/pkg/schedule"
)

// The tables of the tests below: a TCP and a UDP service over each family, at port 80 and 53 of a VIP.
const (
	vip4, vip6   = "203.0.113.10", "2001:db8:f::10"
	snat4, snat6 = "192.0.2.1", "2001:db8:b::1"
	node4, node6 = "192.0.2.11", "2001:db8:b::11"
	router       = "eth 02:00:00:00:02:01 > 02:00:00:00:00:02\n"
	backend      = "eth 02:00:00:00:03:11 > 02:00:00:00:00:03\n"
)

// nodes of each service, by protocol and family: ids and services are 1 and up.
var plain = []struct {
	proto       uint8
	vip, node   string
	snat        uint16
	servicePort uint16
	nodePort    uint16
}{
	{packet.ProtoTCP, vip4, node4, 0, 80, 8080},
	{packet.ProtoUDP, vip4, node4, 0, 53, 5353},
	{packet.ProtoTCP, vip6, node6, 1, 80, 8080},
	{packet.ProtoUDP, vip6, node6, 1, 53, 5353},
}

// fill makes the plain tables, all of whose nodes have one next hop.
func fill(bed *dptest.Bed) {
	bed.Reset()
	bed.SetLink(1, dptest.Loopback, packet.MAC{2, 0, 0, 0, 0, 1})
	bed.SetLink(2, dptest.Front, packet.MAC{2, 0, 0, 0, 0, 2})
	bed.SetLink(3, dptest.Back, packet.MAC{2, 0, 0, 0, 0, 3})
	bed.SetSNAT(0, netip.MustParseAddr(snat4))
	bed.SetSNAT(1, netip.MustParseAddr(snat6))
	for i := range plain {
		id := uint32(i + 1)
		bed.SetService(plainService(id))
		bed.SetNode(plainNode(id))
	}
}

// plainNode is the node of the plain table with the same id.
func plainNode(id uint32) dptest.Node {
	p := plain[id-1]
	return dptest.Node{
		ID: id, Service: id, Proto: p.proto, Address: netip.AddrPortFrom(netip.MustParseAddr(p.node), p.nodePort),
		Hop: dptest.Hop{Link: 3, MAC: packet.MAC{2, 0, 0, 0, 3, 0x11}}, Actions: dptest.ActionNew,
		SNATFirst: p.snat, SNATCount: 1,
	}
}

// plainService is one of the plain tables, of the node with the same id.
func plainService(id uint32) dptest.Service {
	p := plain[id-1]
	return dptest.Service{
		ID: id, Proto: p.proto, VIP: netip.AddrPortFrom(netip.MustParseAddr(p.vip), p.servicePort), Slots: []uint32{id},
	}
}

// run runs a text and returns the reason; the test fails if the outcome cannot be right.
func run(t *testing.T, bed *dptest.Bed, ifindex int, frame []byte) (reason string, out []byte) {
	t.Helper()
	before := bed.Reasons()
	verdict, out := bed.Run(ifindex, frame, false)
	reason = bed.Reasons().Moved(before)
	for _, fault := range dptest.Judge(verdict, reason, frame, out) {
		t.Errorf("%s %s of\n%s%s", verdict, reason, packet.Format(frame), fault)
	}
	return reason, out
}

func syn4(client string, port int) []byte {
	return packet.MustEncode(fmt.Sprintf("%sipv4 %s > %s\ntcp %d > 80 S seq 1000 win 64240", router, client, vip4, port))
}

func check(t *testing.T, bed *dptest.Bed) {
	t.Helper()
	for _, fault := range bed.Check() {
		t.Error(fault)
	}
}

func TestRoundRobinIsExactByWeight(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 16})
	fill(bed)
	service := dptest.Service{ID: 1, Proto: packet.ProtoTCP, VIP: netip.MustParseAddrPort(vip4 + ":80")}
	for _, slot := range schedule.Smooth([]int{5, 3, 2}) {
		service.Slots = append(service.Slots, uint32(10+slot))
	}
	for id := range uint32(3) {
		bed.SetNode(dptest.Node{
			ID: 10 + id, Proto: packet.ProtoTCP, Address: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.2%d:80", id)),
			Hop: dptest.Hop{Link: 3, MAC: packet.MAC{2}}, Actions: dptest.ActionNew, SNATCount: 1,
		})
	}
	bed.SetService(service)
	for round := range 3 {
		for i := range 10 {
			run(t, bed, dptest.Front, syn4("198.51.100.7", 40000+10*round+i))
		}
		for id, weight := range map[uint32]uint64{10: 5, 11: 3, 12: 2} {
			if got, want := bed.Live(id).Active, weight*uint64(round+1); got != want {
				t.Errorf("after %d connections node %d has %d, want %d", 10*(round+1), id, got, want)
			}
		}
	}
}

func TestSourcePortsAreUniquePerNode(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 4096})
	fill(bed)
	seen := map[string]bool{}
	for i := range 2000 {
		_, out := run(t, bed, dptest.Front, syn4(fmt.Sprintf("198.51.100.%d", i%200), 40000+i/200))
		tcp := packet.Find[*packet.TCP](packet.Decode(out))
		ip := packet.Find[*packet.IPv4](packet.Decode(out))
		if tcp == nil || ip == nil || tcp.Src < 1536 {
			t.Fatalf("connection %d leaves as\n%s", i, packet.Format(out))
		}
		source := fmt.Sprint(ip.Src, tcp.Src)
		if seen[source] {
			t.Fatalf("connection %d: %s is in use", i, source)
		}
		seen[source] = true
	}
	check(t, bed)
}

// establish opens a connection through the program, whole.
func establish(t *testing.T, bed *dptest.Bed, port int) {
	t.Helper()
	_, out := run(t, bed, dptest.Front, syn4("198.51.100.7", port))
	nat := packet.Find[*packet.TCP](packet.Decode(out))
	if nat == nil {
		t.Fatalf("port %d is refused:\n%s", port, packet.Format(out))
	}
	run(t, bed, dptest.Back, packet.MustEncode(fmt.Sprintf(
		"%sipv4 %s > %s\ntcp 8080 > %d SA seq 5000 ack 1001", backend, node4, snat4, nat.Src)))
	run(t, bed, dptest.Front, acked(port))
}

func acked(port int) []byte {
	return packet.MustEncode(fmt.Sprintf("%sipv4 198.51.100.7 > %s\ntcp %d > 80 A seq 1001 ack 5001", router, vip4, port))
}

func TestFloodNeverEvictsEstablishedFlows(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 16})
	fill(bed)
	const connections = 24 // of 64 that the table holds
	for i := range connections {
		establish(t, bed, 40000+i)
	}
	rnd := rand.New(rand.NewPCG(seed(t), 0))
	frame := syn4("198.51.100.7", 1)
	bed.Parallel(1, func(int) func() []byte {
		n := 0
		return func() []byte {
			if n++; n > 50000 {
				return nil
			}
			binary.BigEndian.PutUint32(frame[26:], rnd.Uint32())
			binary.BigEndian.PutUint16(frame[34:], uint16(rnd.Uint32()))
			return frame
		}
	})
	for i := range connections {
		if reason, _ := run(t, bed, dptest.Front, acked(40000+i)); reason != "forwarded" {
			t.Errorf("connection %d after the flood: %s", i, reason)
		}
	}
	if flows := len(bed.Flows()); flows < 48 {
		t.Errorf("%d flows in a table of 64: the flood did not fill it", flows)
	}
	check(t, bed)
	bed.Age(halfOpenTime)
	bed.SweepAll()
	if active := bed.Live(1).Active; active != connections {
		t.Errorf("%d active after the flood has expired, want %d", active, connections)
	}
	check(t, bed)
}

// TestABlockOfUsedPortsTurnsNobodyAway lets the counter come round to connections that began together
// and stay.
func TestABlockOfUsedPortsTurnsNobodyAway(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 4096})
	fill(bed)
	const connections = 2000
	for i := range connections {
		establish(t, bed, 20000+i)
	}
	again := dptest.Node{
		ID: 1, Proto: packet.ProtoTCP, Address: netip.MustParseAddrPort(node4 + ":8080"),
		Hop: dptest.Hop{Link: 3, MAC: packet.MAC{2, 0, 0, 0, 3, 0x11}}, Actions: dptest.ActionNew, SNATCount: 1,
	}
	bed.SetNode(again) // with its counter at the start again
	for i := range 200 {
		if reason, _ := run(t, bed, dptest.Front, syn4("198.51.100.8", 20000+i)); reason != "new_flow" {
			t.Fatalf("connection %d: %s, though %d of 64,000 ports are in use", i, reason, connections+i)
		}
	}
	check(t, bed)
}
