package loader_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// exchange is a packet of a client and one of the node that answers it.
type exchange struct {
	name, client, node string
	v6                 bool
}

var exchanges = []exchange{
	{"tcp4", router + "ipv4 198.51.100.7 > " + vip4 + " id 77 df\ntcp 40000 > 80 S seq 1 win 5 options 0x020405b4\ndata \"early\"",
		backend + "ipv4 " + node4 + " > " + snat4 + " id 78 df tos 8\ntcp 8080 > 1536 SA seq 9 ack 2\ndata \"late\"", false},
	{"tcp4 options", router + "ipv4 198.51.100.7 > " + vip4 + " options 8*01\ntcp 40001 > 80 S seq 1",
		backend + "ipv4 " + node4 + " > " + snat4 + " options 40*01\ntcp 8080 > 1537 SA seq 9 ack 2", false},
	{"udp4", router + "ipv4 198.51.100.7 > " + vip4 + "\nudp 5000 > 53\ndata \"question\"",
		backend + "ipv4 " + node4 + " > " + snat4 + "\nudp 5353 > 1536\ndata \"answer\"", false},
	{"udp4 without checksums", router + "ipv4 198.51.100.7 > " + vip4 + "\nudp 5000 > 53 sum 0\ndata \"question\"",
		backend + "ipv4 " + node4 + " > " + snat4 + "\nudp 5353 > 1536 sum 0\ndata \"answer\"", false},
	{"tcp6", router + "ipv6 2001:db8:c::7 > " + vip6 + " flow 7\ntcp 40000 > 80 S seq 1 win 5\ndata \"early\"",
		backend + "ipv6 " + node6 + " > " + snat6 + "\ntcp 8080 > 1536 SA seq 9 ack 2\ndata \"late\"", true},
	{"udp6", router + "ipv6 2001:db8:c::7 > " + vip6 + "\nudp 5000 > 53\ndata \"question\"",
		backend + "ipv6 " + node6 + " > " + snat6 + "\nudp 5353 > 1536\ndata \"answer\"", true},
	{"udp6 extensions", router + "ipv6 2001:db8:c::7 > " + vip6 + "\nhop-by-hop bytes 0x010400000000\nudp 5000 > 53\ndata \"question\"",
		backend + "ipv6 " + node6 + " > " + snat6 + "\ndestination-options bytes 0x010400000000\nudp 5353 > 1536", true},
}

// icmpErrors are the messages that are passed on, of each family: type, code and the four bytes behind the checksum.
var icmpErrors = map[bool][]packet.ICMP{
	false: {
		{Type: 3, Code: 4, Rest: 1280}, {Type: 3, Code: 1}, {Type: 3, Code: 3}, {Type: 3, Code: 13},
		{Type: 11}, {Type: 11, Code: 1}, {Type: 12, Rest: 20 << 24},
	},
	true: {
		{V6: true, Type: 2, Rest: 1280}, {V6: true, Type: 1, Code: 4}, {V6: true, Type: 1}, {V6: true, Type: 3}, {V6: true, Type: 4, Rest: 40},
	},
}

// reporter reports packets that left a bed: from whom, and what it must become.
type reporter struct {
	ethernet     packet.Ethernet
	from         netip.Addr
	ifindex      int
	wantSrc      netip.Addr
	wantDst      netip.Addr
	wantEthernet packet.Ethernet
}

func mac(text string) packet.MAC {
	return packet.Find[*packet.Ethernet](packet.Decode(packet.MustEncode("eth " + text + " > " + text))).Src
}

// TestErrorsQuoteWhatTheReceiverSent reports each packet of an exchange as it left, with each message and with
// the quote cut at each length that shows the ports. Whoever sent the packet must get an error that quotes what
// he sent, byte for byte but for the TTL, from the address that he sent it to.
func TestErrorsQuoteWhatTheReceiverSent(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{})
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			fill(bed)
			if x.name == "tcp4 options" { // its node's port is the second
				run(t, bed, dptest.Front, packet.MustEncode(exchanges[0].client))
			}
			sent := packet.MustEncode(x.client)
			_, left := run(t, bed, dptest.Front, sent)
			answer := packet.MustEncode(x.node)
			_, back := run(t, bed, dptest.Back, answer)
			flows := fmt.Sprint(bed.Flows())
			t.Run("to the client", func(t *testing.T) {
				reportAll(t, bed, x.v6, sent, left, reporter{
					ethernet: packet.Ethernet{Src: mac("02:00:00:00:03:11"), Dst: mac("02:00:00:00:00:03")}, ifindex: dptest.Back,
					wantEthernet: packet.Ethernet{Src: mac("02:00:00:00:00:02"), Dst: mac("02:00:00:00:02:01")},
				})
			})
			t.Run("to the node", func(t *testing.T) {
				reportAll(t, bed, x.v6, answer, back, reporter{
					ethernet: packet.Ethernet{Src: mac("02:00:00:00:02:01"), Dst: mac("02:00:00:00:00:02")}, ifindex: dptest.Front,
					wantEthernet: packet.Ethernet{Src: mac("02:00:00:00:00:03"), Dst: mac("02:00:00:00:03:11")},
				})
			})
			if now := fmt.Sprint(bed.Flows()); now != flows {
				t.Errorf("errors changed the flows:\n%s\nbefore:\n%s", now, flows)
			}
		})
	}
}

// reportAll reports a frame that left the bed, which came in as sent.
func reportAll(t *testing.T, bed *dptest.Bed, v6 bool, sent, left []byte, r reporter) {
	t.Helper()
	r.wantDst, r.wantSrc = addresses(sent[14:])
	ports := headersEnd(packet.Decode(left)) - 14 // the first length to show them, and eight bytes
	half := 0                                     // the length that shows half a checksum, which says nothing
	if packet.Find[*packet.TCP](packet.Decode(left)) != nil {
		ports -= 20 - 8
		half = ports - 8 + 17
	}
	for _, message := range icmpErrors[v6] {
		for n := ports; n <= len(left)-14; n++ {
			if n == half {
				continue
			}
			m := message
			frame := r.report(t, v6, &m, left[14:14+n])
			reason, out := run(t, bed, r.ifindex, frame)
			if reason != "icmp_translated" {
				t.Fatalf("%d bytes quoted: %s of\n%s", n, reason, packet.Format(frame))
			}
			m = message
			want := r.want(t, v6, &m, sent[14:14+n], left[14:])
			if !slices.Equal(out, want) {
				t.Fatalf("%d bytes quoted:\n%s", n, packet.Diff(want, out))
			}
		}
	}
}

// addresses are those of an IP packet.
func addresses(ip []byte) (src, dst netip.Addr) {
	if ip[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
	}
	return netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
}

// report makes the error that a router sends about a packet that we sent.
func (r reporter) report(t *testing.T, v6 bool, m *packet.ICMP, quote []byte) []byte {
	t.Helper()
	ours, _ := addresses(quote)
	return encode(t, r.ethernet, v6, routerOf(v6), ours, 60, m, quote)
}

// want is the error as it has to leave: it quotes what was sent, with the TTL as it was reported.
func (r reporter) want(t *testing.T, v6 bool, m *packet.ICMP, sent, left []byte) []byte {
	t.Helper()
	quote := slices.Clone(sent)
	if v6 {
		quote[7] = left[7]
	} else {
		quote[8] = left[8]
		header := quote[:int(quote[0]&15)*4]
		header[10], header[11] = 0, 0
		binary.BigEndian.PutUint16(header[10:], ^onesSum(header))
	}
	return encode(t, r.wantEthernet, v6, r.wantSrc, r.wantDst, 59, m, quote)
}

// onesSum is the one's complement sum of a header.
func onesSum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

func routerOf(v6 bool) netip.Addr {
	if v6 {
		return netip.MustParseAddr("2001:db8:99::1")
	}
	return netip.MustParseAddr("203.0.113.254")
}

func encode(t *testing.T, e packet.Ethernet, v6 bool, src, dst netip.Addr, ttl uint8, m *packet.ICMP, quote []byte) []byte {
	t.Helper()
	p := packet.Packet{&e, &packet.IPv4{Src: src, Dst: dst, TTL: ttl}, m, &packet.Data{Bytes: quote}}
	if v6 {
		p[1] = &packet.IPv6{Src: src, Dst: dst, HopLimit: ttl}
	}
	frame, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return frame
}
