package loader_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// TestUDPChecksumThatComesOutAsZeroIsSentAsOnes finds, for each direction, the datagram whose
// checksum after NAT is 0: with two bytes of data it is the one whose data are the checksum that the
// same datagram has with zeros instead. Sent as 0 it would say that there is no checksum.
func TestUDPChecksumThatComesOutAsZeroIsSentAsOnes(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{})
	fill(bed)
	for _, c := range []struct {
		name, headers string
		ifindex       int
	}{
		{"to the node, IPv4", router + "ipv4 198.51.100.7 > " + vip4 + "\nudp 5000 > 53\n", dptest.Front},
		{"to the client, IPv4", backend + "ipv4 " + node4 + " > " + snat4 + "\nudp 5353 > 1536\n", dptest.Back},
		{"to the node, IPv6", router + "ipv6 2001:db8:c::7 > " + vip6 + "\nudp 5000 > 53\n", dptest.Front},
		{"to the client, IPv6", backend + "ipv6 " + node6 + " > " + snat6 + "\nudp 5353 > 1536\n", dptest.Back},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, out := run(t, bed, c.ifindex, packet.MustEncode(c.headers+"data 0x0000"))
			sum := binary.BigEndian.Uint16(out[len(out)-4:])
			_, out = run(t, bed, c.ifindex, packet.MustEncode(fmt.Sprintf("%sdata 0x%04x", c.headers, sum)))
			if got := binary.BigEndian.Uint16(out[len(out)-4:]); got != 0xffff {
				t.Errorf("checksum is %#04x, want 0xffff:\n%s", got, packet.Format(out))
			}
		})
	}
}

// TestEveryChecksumSurvivesNAT sends a datagram with each possible checksum through both directions.
func TestEveryChecksumSurvivesNAT(t *testing.T) {
	t.Parallel()
	bed := dptest.Open(t, dptest.Options{})
	fill(bed)
	step := 1
	if testing.Short() {
		step = 97
	}
	for _, c := range []struct {
		headers string
		ifindex int
	}{
		{router + "ipv4 198.51.100.7 > " + vip4 + "\nudp 5000 > 53\n", dptest.Front},
		{backend + "ipv6 " + node6 + " > " + snat6 + "\nudp 5353 > 1536\n", dptest.Back},
	} {
		run(t, bed, dptest.Front, packet.MustEncode(router+"ipv6 2001:db8:c::7 > "+vip6+"\nudp 5000 > 53\n"))
		frame := packet.MustEncode(c.headers + "data 0x0000")
		sum := binary.BigEndian.Uint16(frame[len(frame)-4:])
		for data := 0; data < 1<<16; data += step {
			binary.BigEndian.PutUint16(frame[len(frame)-2:], uint16(data))
			binary.BigEndian.PutUint16(frame[len(frame)-4:], lessData(sum, uint16(data)))
			_, out := bed.Run(c.ifindex, frame, true)
			if err := packet.Verify(out); err != nil {
				t.Fatalf("data %#04x: %v\nin:\n%sout:\n%s", data, err, packet.Format(frame), packet.Format(out))
			}
		}
	}
}

// lessData is the checksum of a datagram whose data grew from 0.
func lessData(sum, data uint16) uint16 {
	total := uint32(^sum) + uint32(data)
	total = total&0xffff + total>>16
	if folded := ^uint16(total&0xffff + total>>16); folded != 0 {
		return folded
	}
	return 0xffff
}
