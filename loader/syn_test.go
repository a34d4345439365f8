package loader_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// TestE21ASYNOnAKnownTuple is a retransmission while the flow is half-open, and begins anew when the flow is closing or
// its node no longer takes new flows. On an established one it is the node's to answer, which a forged SYN needs.
func TestE21ASYNOnAKnownTuple(t *testing.T) {
	closing := func(t *testing.T, bed *dptest.Bed) {
		establish(t, bed, 40000)
		run(t, bed, dptest.Front, packet.MustEncode(fmt.Sprintf("%sipv4 198.51.100.7 > %s\ntcp 40000 > 80 R seq 1001", router, vip4)))
	}
	halfOpen := func(t *testing.T, bed *dptest.Bed) { run(t, bed, dptest.Front, syn4("198.51.100.7", 40000)) }
	established := func(t *testing.T, bed *dptest.Bed) { establish(t, bed, 40000) }
	for _, c := range []struct {
		name    string
		flow    func(t *testing.T, bed *dptest.Bed)
		actions uint8 // of the flow's node, when the SYN comes
		reason  string
		node    string // that it goes to; with new_flow the other one, if the first takes none
	}{
		{"half-open: a retransmission", halfOpen, dptest.ActionNew, "forwarded", "192.0.2.11"},
		{"half-open, the client sticks to the draining node", halfOpen, dptest.ActionStick, "forwarded", "192.0.2.11"},
		{"half-open, the node takes no new flows", halfOpen, 0, "new_flow", "192.0.2.12"},
		{"half-open, the node is DOWN", halfOpen, dptest.ActionDead, "new_flow", "192.0.2.12"},
		{"established: the node answers", established, dptest.ActionNew, "forwarded", "192.0.2.11"},
		{"established, the node is draining", established, 0, "forwarded", "192.0.2.11"},
		{"established, the node is DOWN", established, dptest.ActionDead, "new_flow", "192.0.2.12"},
		{"closing", closing, dptest.ActionNew, "new_flow", "192.0.2.12"},
		{"closing, the node takes no new flows", closing, 0, "new_flow", "192.0.2.12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bed := dptest.Open(t, dptest.Options{})
			fill(bed)
			c.flow(t, bed)
			bed.SetActions(1, c.actions)
			other := plainNode(1)
			other.ID, other.Address = 9, netip.MustParseAddrPort("192.0.2.12:8080")
			bed.SetNode(other)
			s := plainService(1)
			s.Slots = []uint32{9}
			bed.SetService(s)
			reason, out := run(t, bed, dptest.Front, syn4("198.51.100.7", 40000))
			ip := packet.Find[*packet.IPv4](packet.Decode(out))
			if reason != c.reason || ip == nil || ip.Dst.String() != c.node {
				t.Errorf("%s, want %s to %s:\n%s", reason, c.reason, c.node, packet.Format(out))
			}
			check(t, bed)
		})
	}
}
