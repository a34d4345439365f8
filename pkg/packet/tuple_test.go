package packet_test

import (
	"net/netip"
	"testing"

	"github.com/headgate/headgate/pkg/packet"
)

func TestTheTupleOfAPacketAndOfWhatAnErrorQuotes(t *testing.T) {
	at := netip.MustParseAddrPort
	for name, c := range map[string]struct {
		text    string
		want    packet.Tuple
		quoted  bool
		nothing bool
	}{
		"tcp": {text: "ipv4 198.51.100.7 > 203.0.113.10\ntcp 40000 > 80 S",
			want: packet.Tuple{Protocol: packet.ProtoTCP, Src: at("198.51.100.7:40000"), Dst: at("203.0.113.10:80")}},
		"udp in a vlan": {text: "vlan 5\nipv6 2001:db8::7 > 2001:db8::10\nudp 5000 > 53",
			want: packet.Tuple{Protocol: packet.ProtoUDP, Src: at("[2001:db8::7]:5000"), Dst: at("[2001:db8::10]:53")}},
		"error": {text: "ipv4 192.0.2.1 > 203.0.113.10\nicmp unreachable code 4\nipv4 203.0.113.10 > 198.51.100.7\ntcp 80 > 40000 A", quoted: true,
			want: packet.Tuple{Protocol: packet.ProtoTCP, Src: at("198.51.100.7:40000"), Dst: at("203.0.113.10:80")}},
		"error with eight bytes": {text: "ipv4 192.0.2.1 > 203.0.113.10\nicmp unreachable code 4\nipv4 203.0.113.10 > 198.51.100.7 protocol 6 length 60\ndata 0x00509c4000000001", quoted: true,
			want: packet.Tuple{Protocol: packet.ProtoTCP, Src: at("198.51.100.7:40000"), Dst: at("203.0.113.10:80")}},
		"echo":           {text: "ipv4 198.51.100.7 > 203.0.113.10\nicmp echo rest 0x00010001", nothing: true},
		"later fragment": {text: "ipv4 198.51.100.7 > 203.0.113.10 offset 8 protocol 17\ndata 16*61", nothing: true},
	} {
		got, quoted, ok := packet.TupleOf(packet.Decode(packet.MustEncode("eth 02:00:00:00:00:01 > 02:00:00:00:00:02\n" + c.text)))
		if ok == c.nothing || ok && (got != c.want || quoted != c.quoted) {
			t.Errorf("%s: %+v, quoted %v, %v", name, got, quoted, ok)
		}
	}
}
