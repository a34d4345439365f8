package loader_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// The kinds of packets of a portBed: a client's SYN, ACK and RST, and the node's SYN-ACK.
const (
	kindSYN = iota
	kindSYNACK
	kindACK
	kindRST
)

// portsOfAnAddress is how many connections to one node a source address has ports for.
const portsOfAnAddress = 64000

// portBed is a bed with one TCP node and packets of as many clients as one likes: client n is the n-th to
// come, and with fresh tables has NAT's n-th port.
type portBed struct {
	*dptest.Bed
	*dptest.Generator
	t *testing.T
}

func newPortBed(t *testing.T, options dptest.Options) *portBed {
	t.Helper()
	options.Buckets4, options.Rest = 1<<16, 3600
	bed := dptest.Open(t, options)
	fill(bed)
	frame := func(format string, args ...any) []byte { return packet.MustEncode(fmt.Sprintf(format, args...)) }
	client := func(flags string) dptest.Kind {
		return dptest.Kind{
			Frame: frame("%sipv4 198.51.0.0 > %s\ntcp 1 > 80 %s seq 1000 ack 5001", router, vip4, flags),
			First: 20000, Ports: 1000, Clients: 1000,
		}
	}
	node := dptest.Kind{
		Frame: frame("%sipv4 %s > 192.0.0.0\ntcp 8080 > 1 SA seq 5000 ack 1001", backend, node4),
		First: 1536, Ports: portsOfAnAddress, Clients: 2, ToNAT: true,
	}
	for i := range 2 { // 192.0.0.0 and 192.0.0.1
		bed.SetSNAT(uint32(i), netip.AddrFrom4([4]byte{192, 0, 0, byte(i)}))
	}
	return &portBed{bed, bed.NewGenerator(client("S"), node, client("A"), client("R")), t}
}

// count runs packets of a kind and wants each to meet the reason.
func (b *portBed) count(kind uint32, first uint64, packets uint32, reason string) time.Duration {
	b.t.Helper()
	before, begin := b.Reasons()[reason], time.Now()
	b.Generator.Count(kind, first, packets)
	took := time.Since(begin)
	if n := b.Reasons()[reason] - before; n != uint64(packets) {
		b.t.Fatalf("%d of %d packets of kind %d were %s", n, packets, kind, reason)
	}
	return took
}

// establish opens connections of clients that come for the first time, in fresh tables.
func (b *portBed) establish(first uint64, n uint32) {
	b.t.Helper()
	b.count(kindSYN, first, n, "new_flow")
	b.count(kindSYNACK, first, n, "replied")
	b.count(kindACK, first, n, "forwarded")
}

func (b *portBed) active() uint32 { return uint32(b.Live(1).Active) }

// TestAllSourcePortsOfANodeCanBeUsed opens 64,000 connections to one node from one source address. The next is
// refused, until one ends; another address has as many again.
func TestAllSourcePortsOfANodeCanBeUsed(t *testing.T) {
	b := newPortBed(t, dptest.Options{})
	b.establish(0, portsOfAnAddress)
	if n := b.active(); n != portsOfAnAddress {
		t.Fatalf("%d connections, want %d", n, portsOfAnAddress)
	}
	next := uint64(portsOfAnAddress)
	refused := func(what string, packets uint32) {
		t.Helper()
		t.Logf("%s: refused in %s", what, b.count(kindSYN, next, packets, "no_port")/time.Duration(packets))
		next += uint64(packets)
	}
	refused("with all ports looked at", 1)
	refused("with the node known to be full", 1000)

	b.count(kindRST, 40_000, 1, "forwarded")
	b.count(kindSYN, next, 1, "new_flow") // has the port of the one that has just ended
	next++
	b.count(kindRST, 12_345, 1, "forwarded")
	b.count(kindSYN, next, 1, "new_flow")
	next++

	// Some hundred end, here and there. As many can come.
	b.Generator.Storm(kindRST, 1, seed(t), 500)
	b.AgeSearch(1)
	ended := portsOfAnAddress - b.active()
	took := b.count(kindSYN, next, ended, "new_flow")
	t.Logf("%d ports here and there: %s each", ended, took/time.Duration(ended))
	check(t, b.Bed)
}

// TestARehearsalFindsTheSourcePortThatTheWireFinds among 64,000 of which some are free, and finds none where there is none.
func TestARehearsalFindsTheSourcePortThatTheWireFinds(t *testing.T) {
	t.Parallel()
	b := newPortBed(t, dptest.Options{})
	b.establish(0, portsOfAnAddress)
	rehearsal := b.Rehearsal(t)
	compare := func(client int, want string) {
		t.Helper()
		frame := syn4("198.51.200.1", client)
		told := rehearsal.Run(dptest.Front, frame)
		before := b.Reasons()[want]
		verdict, out := b.Run(dptest.Front, frame, true)
		if b.Reasons()[want] == before {
			t.Fatalf("client %d: the packet was not %s", client, want)
		}
		if told.Reason != want || dptest.Verdict(told.Verdict) != verdict || !bytes.Equal(told.Frame, out) {
			t.Errorf("client %d: told: %s, done: %s\n%s", client, told.Reason, want, packet.Diff(told.Frame, out))
		}
	}
	compare(1, "no_port")
	b.Generator.Storm(kindRST, 1, seed(t), 500)
	b.AgeSearch(1)
	for client := range 20 { // the latest to be freed, then those that a search finds
		compare(100+client, "new_flow")
	}
}

// TestASecondSourceAddressDoublesTheConnections of a node, and a third makes them three times as many.
func TestASecondSourceAddressDoublesTheConnections(t *testing.T) {
	b := newPortBed(t, dptest.Options{})
	b.SetNode(dptest.Node{
		ID: 1, Proto: packet.ProtoTCP, Address: netip.MustParseAddrPort(node4 + ":8080"),
		Hop: dptest.Hop{Link: 3, MAC: packet.MAC{2, 0, 0, 0, 3, 0x11}}, Actions: dptest.ActionNew, SNATCount: 2,
	})
	b.establish(0, 2*portsOfAnAddress)
	b.count(kindSYN, 2*portsOfAnAddress, 1, "no_port")
	b.count(kindRST, 100_000, 1, "forwarded")
	b.count(kindSYN, 2*portsOfAnAddress, 1, "new_flow")
	check(t, b.Bed)
}
