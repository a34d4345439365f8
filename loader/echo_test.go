package loader_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// TestEchoIsAnsweredForEveryID asks with each id, and so with each checksum that there is.
func TestEchoIsAnsweredForEveryID(t *testing.T) {
	t.Parallel()
	bed := dptest.Open(t, dptest.Options{})
	fill(bed)
	for name, c := range map[string]struct {
		request string
		reply   uint8
	}{
		"IPv4": {router + "ipv4 198.51.100.7 > " + vip4 + "\nicmp echo rest 0x00000001\ndata 56*a5", 0},
		"IPv6": {router + "ipv6 2001:db8:c::7 > " + vip6 + "\nicmp6 echo rest 0x00000001\ndata 56*a5", 129},
	} {
		t.Run(name, func(t *testing.T) {
			frame := packet.MustEncode(c.request)
			icmp := len(frame) - 56 - 8
			sum := binary.BigEndian.Uint16(frame[icmp+2:])
			for id := range 1 << 16 {
				binary.BigEndian.PutUint16(frame[icmp+4:], uint16(id))
				binary.BigEndian.PutUint16(frame[icmp+2:], lessData(sum, uint16(id)))
				verdict, out := bed.Run(dptest.Front, frame, id%2 == 0)
				if verdict != dptest.Tx || len(out) != len(frame) || out[icmp] != c.reply || !slices.Equal(out[icmp+4:], frame[icmp+4:]) {
					t.Fatalf("id %d: %s\n%s", id, verdict, packet.Diff(frame, out))
				}
				if err := packet.Verify(out); err != nil {
					t.Fatalf("id %d: %v\n%s", id, err, packet.Format(out))
				}
			}
		})
	}
}
