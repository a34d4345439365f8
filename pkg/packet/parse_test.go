package packet_test

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/packet"
)

func TestFaultsOfATextAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"eth 02:00:00:00:00:01":                  `line 1: "eth 02:00:00:00:00:01": ends too early`,
		"eth 02:00:00:00:00 > 02:00:00:00:00:02": "want a MAC address, not 02:00:00:00:00",
		"ip 1.2.3.4":                             "unknown layer ip",
		"ipv4 1.2.3.4 > 1.2.3":                   "want an address, not 1.2.3",
		"ipv4 1.2.3.4 > 1.2.3.4 ttl 256":         "want a number of 8 bits, not 256",
		"ipv4 1.2.3.4 > 1.2.3.4 hop 3":           "unknown field hop",
		"\n# a comment\ntcp 1 > 2 X":             `line 3: "tcp 1 > 2 X": want flags of FSRPAUEC, not X`,
		"tcp 1 2 S":                              "want >, not 2",
		"icmp nonsense":                          `unknown ICMP message "nonsense"`,
		"data 12":                                "want 0x and pairs of digits",
		`data "open`:                             "want a closed string",
		"data 3*zz":                              "want COUNT*BYTE",
		"cut 3\ndata 0x00":                       "line 2: data after cut",
		"udp 1 > 2 sum 0x10000":                  "want a number of 16 bits",
		"fragment id 1 offset 8192":              "want a number of 13 bits",
		`data "a" b`:                             "unknown field b",
		"hop-by-hop mystery 1":                   "unknown field mystery",
		"vlan 4096":                              "want a number of 12 bits",
		"ipv6 fe80::1%eth0 > fe80::2":            "want an address, not fe80::1%eth0",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 colour 3": "unknown field colour",
	} {
		if _, err := packet.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestLayersThatCannotBeEncodedAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"ipv4 1.2.3.4 > 2001:db8::1":                        "want two IPv4 addresses",
		"ipv6 1.2.3.4 > 2001:db8::1":                        "want two IPv6 addresses",
		"ipv4 1.2.3.4 > 1.2.3.4 options 44*01":              "44 bytes of options",
		"tcp 1 > 2 S":                                       "needs an IP layer before it",
		"ipv4 1.2.3.4 > 1.2.3.4\ntcp 1 > 2 S options 41*01": "layer 2: tcp: 44 bytes of options",
		"data 0x00\ncut 2":                                  "cut: to 2 bytes: the frame has 1",
		"data 0x00\npatch 1 0x00":                           "patch: 1 bytes at 1: the frame has 1",
	} {
		p, err := packet.Parse(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if _, err := p.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestCutAndPatchWorkOnTheEncodedFrame(t *testing.T) {
	frame := packet.MustEncode("eth 02:00:00:00:00:01 > 02:00:00:00:00:02\nipv4 192.0.2.1 > 192.0.2.2\npatch 14 0x4f\ncut 20")
	if len(frame) != 20 || frame[14] != 0x4f {
		t.Errorf("got %x", frame)
	}
}

func TestFindGivesTheFirstLayerOfAKind(t *testing.T) {
	p := packet.Decode(packet.MustEncode(samples["icmp error with what it quotes"]))
	if ip := packet.Find[*packet.IPv4](p); ip == nil || ip.TTL != 64 {
		t.Errorf("got %v, want the outer header", ip)
	}
	if tcp := packet.Find[*packet.TCP](p); tcp != nil {
		t.Errorf("got %v from a packet without TCP", tcp)
	}
}
