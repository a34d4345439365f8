package loader_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// whole are frames that the plain tables take, from client and from node, as small as can be and with
// all that may stand before the transport header.
var whole = map[string]string{
	"tcp4":         router + "ipv4 198.51.100.7 > " + vip4 + "\ntcp 40000 > 80 S seq 1 options 0x020405b4\ndata \"early\"",
	"tcp4 options": router + "ipv4 198.51.100.7 > " + vip4 + " options 40*01\ntcp 40000 > 80 S seq 1",
	"udp4":         router + "ipv4 198.51.100.7 > " + vip4 + "\nudp 5000 > 53\ndata \"question\"",
	"tcp6":         router + "ipv6 2001:db8:c::7 > " + vip6 + "\ntcp 40000 > 80 S seq 1 options 0x020405b4\ndata \"early\"",
	"udp6":         router + "ipv6 2001:db8:c::7 > " + vip6 + "\nudp 5000 > 53\ndata \"question\"",
	"udp6 extensions": router + "ipv6 2001:db8:c::7 > " + vip6 +
		"\nhop-by-hop bytes 0x010400000000\ndestination-options bytes 0x010c000000000000000000000000\nudp 5000 > 53",
	"echo4": router + "ipv4 198.51.100.7 > " + vip4 + "\nicmp echo rest 0x00010001",
	"echo6": router + "ipv6 2001:db8:c::7 > " + vip6 + "\nicmp6 echo rest 0x00010001",
	"error4": backend + "ipv4 192.0.2.254 > " + snat4 + "\nicmp unreachable code 4 rest 0x00000500" +
		"\nipv4 " + snat4 + " > " + node4 + "\ntcp 1536 > 8080 S seq 1",
	"error6": router + "ipv6 2001:db8:c::1 > " + vip6 + "\nicmp6 too-big rest 0x00000500" +
		"\nipv6 " + vip6 + " > 2001:db8:c::7\nhop-by-hop bytes 0x010400000000\nudp 53 > 5000\ndata \"answer\"",
	"first4": router + "ipv4 198.51.100.7 > " + vip4 + " mf id 9\nudp 5000 > 53 length 40 sum 1\ndata 16*61",
	"first6": router + "ipv6 2001:db8:c::7 > " + vip6 + "\nfragment id 9 more" +
		"\ndestination-options bytes 0x010400000000\nudp 5000 > 53 length 40 sum 1",
	"later4": router + "ipv4 198.51.100.7 > " + vip4 + " id 10 offset 3 protocol 17\ndata 3*61",
	"later6": router + "ipv6 2001:db8:c::7 > " + vip6 + "\nfragment id 10 offset 3 next 17\ndata 3*61",
	"reply4": backend + "ipv4 " + node4 + " > " + snat4 + "\ntcp 8080 > 1536 SA seq 5000 ack 2",
	"reply6": backend + "ipv6 " + node6 + " > " + snat6 + "\nudp 5353 > 1536\ndata \"answer\"",
}

// sent are the reasons that whole frames end with.
var sent = []string{"new_flow", "forwarded", "replied", "echo_answered", "icmp_translated", "fragment_followed"}

// openFlows gives the replies among the whole frames a flow to belong to.
func openFlows(t *testing.T, bed *dptest.Bed) {
	t.Helper()
	fill(bed)
	for _, name := range []string{"tcp4", "udp6"} {
		if reason, _ := run(t, bed, dptest.Front, packet.MustEncode(whole[name])); reason != "new_flow" {
			t.Fatalf("%s: %s", name, reason)
		}
	}
	for _, name := range []string{"first4", "first6"} { // of the datagrams of which later ones are cut
		run(t, bed, dptest.Front, packet.MustEncode(strings.Replace(whole[name], "id 9", "id 10", 1)))
	}
}

// TestCutFramesReachTheKernelUntouched cuts every frame at every length that XDP can see.
func TestCutFramesReachTheKernelUntouched(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{})
	for name, text := range whole {
		t.Run(name, func(t *testing.T) {
			openFlows(t, bed)
			frame := packet.MustEncode(text)
			flows := fmt.Sprint(bed.Flows())
			for n := 14; n < len(frame); n++ {
				verdict, out := bed.Run(dptest.Front, frame[:n], false)
				if verdict != dptest.Pass || !slices.Equal(out, frame[:n]) {
					t.Errorf("cut to %d of %d bytes: %s\n%s", n, len(frame), verdict, packet.Diff(frame[:n], out))
				}
			}
			if now := fmt.Sprint(bed.Flows()); now != flows {
				t.Errorf("cut frames changed the flows:\n%s\nbefore:\n%s", now, flows)
			}
			if reason, _ := run(t, bed, dptest.Front, frame); !slices.Contains(sent, reason) {
				t.Errorf("the whole frame: %s", reason)
			}
			check(t, bed)
		})
	}
}

// TestPacketsThatEndWithinAHeaderReachTheKernelUntouched shortens the IP packet, and what it says of
// its length, to every length at which a header is missing something; the frame may be longer.
func TestPacketsThatEndWithinAHeaderReachTheKernelUntouched(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{})
	for name, text := range whole {
		t.Run(name, func(t *testing.T) {
			openFlows(t, bed)
			frame := packet.MustEncode(text)
			end := headersEnd(packet.Decode(frame))
			for n := 14; n < end; n++ {
				for _, padded := range []bool{true, false} {
					short := withLength(frame, n)
					if !padded {
						short = short[:max(n, 14)]
					}
					reason, out := run(t, bed, dptest.Front, short)
					if reason != "truncated" && reason != "not_tcp_udp" && reason != "icmp_unknown" || !slices.Equal(out, short) {
						t.Errorf("packet ends at %d of %d, padded %v: %s", n, end, padded, reason)
					}
				}
			}
		})
	}
}

// headersEnd is where the fixed part of the transport header ends; of one that is quoted, its first eight bytes.
func headersEnd(p packet.Packet) int {
	end, quoted := 0, false
	for _, layer := range p {
		switch l := layer.(type) {
		case *packet.Ethernet:
			end += 14
		case *packet.IPv4:
			end += 20 + len(l.Options)
		case *packet.IPv6:
			end += 40
		case *packet.Fragment:
			end += 8
		case *packet.Extension:
			end += 2 + len(l.Data)
		case *packet.TCP:
			end += 20
			if quoted {
				end -= 20 - 8
			}
		case *packet.UDP:
			end += 8
		case *packet.ICMP:
			end += 8
			quoted = true
		}
	}
	return end
}

// withLength returns a frame whose IP header says that the packet ends at n.
func withLength(frame []byte, n int) []byte {
	short := slices.Clone(frame)
	if frame[14]>>4 == 4 {
		binary.BigEndian.PutUint16(short[16:], uint16(max(0, n-14)))
	} else {
		binary.BigEndian.PutUint16(short[18:], uint16(max(0, n-54)))
	}
	return short
}

// TestFlippedBitsNeverBreakAnything flips every bit of every frame's headers. Whatever the program
// then takes a frame for: no abort, one reason, untouched if passed, and right checksums stay right.
func TestFlippedBitsNeverBreakAnything(t *testing.T) {
	t.Parallel()
	bed := dptest.Open(t, dptest.Options{Buckets4: 64, Buckets6: 64})
	for name, text := range whole {
		t.Run(name, func(t *testing.T) {
			openFlows(t, bed)
			frame := packet.MustEncode(text)
			for bit := range 8 * headersEnd(packet.Decode(frame)) {
				frame[bit/8] ^= 1 << (bit % 8)
				run(t, bed, dptest.Front, frame)
				frame[bit/8] ^= 1 << (bit % 8)
			}
			check(t, bed)
		})
	}
}
