package loader_test

import (
	"net/netip"
	"os"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// A ring that nobody reads loses reports and counts them; what reads it later learns of all connections that
// failed meanwhile from the next report.
func TestAFullRingLosesReportsAndCountsThem(t *testing.T) {
	page := uint32(os.Getpagesize())
	bed := dptest.Open(t, dptest.Options{Buckets4: 256, SignalBytes: page})
	node, client := netip.MustParseAddrPort("192.0.2.11:8080"), netip.MustParseAddr("198.51.100.7")
	service := dptest.Service{ID: 1, Proto: packet.ProtoTCP, VIP: netip.MustParseAddrPort("203.0.113.10:80"), Slots: []uint32{1}}
	bed.SetLink(2, dptest.Front, packet.MAC{2, 0, 0, 0, 0, 2})
	bed.SetSNAT(0, snats[0])
	bed.SetService(service)
	bed.SetNode(dptest.Node{
		ID: 1, Service: 1, Proto: packet.ProtoTCP, Address: node, Hop: dptest.Hop{Link: 2, MAC: packet.MAC{1}}, SNATCount: 1,
		Actions: dptest.ActionNew | dptest.ActionReport,
	})
	failed := uint32(0)
	fail := func() {
		sport, from := 30000+uint16(failed), 1536+uint16(failed)
		bed.Run(dptest.Front, segment(t, netip.AddrPortFrom(client, sport), service.VIP, packet.SYN), false)
		bed.Run(dptest.Front, segment(t, node, netip.AddrPortFrom(snats[0], from), packet.RST|packet.ACK), false)
		failed++
	}
	const record = 8 + 16 // header and struct signal
	fits := page / record
	for range fits + 10 {
		fail()
	}
	if got := bed.Trouble(1); got.Failed != failed || got.Lost != uint64(failed-fits) {
		t.Errorf("of %d failures %d were counted and %d reports lost, want %d lost", failed, got.Failed, got.Lost, failed-fits)
	}
	if got := uint32(len(bed.Signals())); got != fits {
		t.Errorf("%d reports were read, want %d", got, fits)
	}
	fail()
	if got := bed.Signals(); len(got) != 1 || got[0].Failed != failed {
		t.Errorf("then came %v, want one of %d in a row", got, failed)
	}
}

func segment(t *testing.T, from, to netip.AddrPort, flags packet.Flags) []byte {
	t.Helper()
	frame, err := packet.Packet{
		&packet.Ethernet{}, &packet.IPv4{Src: from.Addr(), Dst: to.Addr(), TTL: 64},
		&packet.TCP{Src: from.Port(), Dst: to.Port(), Flags: flags},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return frame
}
