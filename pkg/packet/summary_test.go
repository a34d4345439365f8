package packet_test

import (
	"testing"

	"github.com/headgate/headgate/pkg/packet"
)

func TestASummaryIsALineForPeople(t *testing.T) {
	for text, want := range map[string]string{
		"ipv4 198.51.100.7 > 203.0.113.10 ttl 64\ntcp 40000 > 80 SA seq 1":                                                               "TCP SYN,ACK from 198.51.100.7:40000 to 203.0.113.10:80, TTL 64, 54 bytes",
		"vlan 5\nipv6 2001:db8::7 > 2001:db8::10 hop 1\nudp 5000 > 53\ndata \"hello\"":                                                   "UDP from [2001:db8::7]:5000 to [2001:db8::10]:53, VLAN 5, hop limit 1, 71 bytes",
		"ipv4 198.51.100.7 > 203.0.113.10 ttl 2 offset 185 id 9 protocol 17\ndata 8*61":                                                  "IPv4 packet from 198.51.100.7 to 203.0.113.10, TTL 2, fragment at 1480 of id 9, 42 bytes",
		"ipv4 198.51.100.7 > 203.0.113.10 ttl 64\nicmp echo rest 0x00010001":                                                             "ICMP echo from 198.51.100.7 to 203.0.113.10, TTL 64, 42 bytes",
		"ipv4 192.0.2.1 > 203.0.113.10 ttl 64\nicmp unreachable code 4\nipv4 203.0.113.10 > 198.51.100.7 ttl 63\ntcp 80 > 40000 A seq 1": "ICMP unreachable code 4 from 192.0.2.1 to 203.0.113.10, TTL 64, 82 bytes, about TCP ACK from 203.0.113.10:80 to 198.51.100.7:40000",
		"data 28*00": "frame from 02:00:00:00:00:01 to 02:00:00:00:00:02, 42 bytes",
	} {
		p := packet.Decode(packet.MustEncode("eth 02:00:00:00:00:01 > 02:00:00:00:00:02\n" + text))
		if got := packet.Summary(p); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}
