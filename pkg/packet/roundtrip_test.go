package packet_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/packet"
)

// samples are texts as String writes them, one of each kind of frame.
var samples = map[string]string{
	"tcp4": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02
ipv4 198.51.100.7 > 203.0.113.10 ttl 64 tos 16 id 7 df
tcp 40000 > 80 PA seq 1 ack 2 win 502 options 0x0101080a0000000100000002
data "GET / HTTP/1.0"
`,
	"udp6 with extension headers": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02
ipv6 2001:db8::7 > 2001:db8::10 hop 64 class 3 flow 74565
hop-by-hop bytes 0x010400000000
destination-options bytes 0x010c000000000000000000000000
udp 5000 > 53
data 0x00ff
`,
	"fragments": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02
ipv4 198.51.100.7 > 203.0.113.10 ttl 64 id 9 mf offset 185 protocol 6
data 24*61
`,
	"fragment6": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02
ipv6 2001:db8::7 > 2001:db8::10 hop 1
fragment id 77 more
udp 5000 > 53 length 1500 sum 0x1234
data "part"
`,
	"vlan in vlan": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88a8
vlan 5 priority 3 dei
vlan 4095
ipv4 198.51.100.7 > 203.0.113.10 ttl 64
icmp echo rest 0x00010001
data "ping"
`,
	"icmp error with what it quotes": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02
ipv4 192.0.2.1 > 198.51.100.7 ttl 64
icmp unreachable code 3
ipv4 198.51.100.7 > 203.0.113.10 ttl 63 length 1028
udp 5000 > 53 length 1008 sum 0xbeef
`,
	"icmp6 error": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02
ipv6 2001:db8::10 > 2001:db8::7 hop 64
icmp6 too-big rest 0x000005dc
ipv6 2001:db8::7 > 2001:db8::10 hop 63 length 1460
tcp 40000 > 80 A seq 1 ack 1 sum 0x0001
`,
	"padding and options": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02
ipv4 198.51.100.7 > 203.0.113.10 ttl 64 options 0x94040000
udp 1 > 2 sum 0x0000
padding 14*00
`,
	"wrong checksums": `
eth 02:00:00:00:00:01 > 02:00:00:00:00:02
ipv4 198.51.100.7 > 203.0.113.10 ttl 64 sum 0x0001
tcp 1 > 2 S seq 0 sum 0x0002
`,
	"arp": `
eth 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff
arp request 192.0.2.1 02:00:00:00:00:01 > 192.0.2.2 00:00:00:00:00:00
padding 18*00
`,
	"arp of another kind": `
eth 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff
arp operation 9 192.0.2.1 02:00:00:00:00:01 > 192.0.2.2 02:00:00:00:00:02
`,
	"arp not of IPv4": `
eth 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff type 0x0806
data 0x0001080106040001020000000001c0000201000000000000c0000202
`,
	"neighbour solicitation": `
eth 02:00:00:00:00:01 > 33:33:ff:00:00:10
ipv6 2001:db8::7 > ff02::1:ff00:10 hop 255
icmp6 neighbour-solicitation
neighbour 2001:db8::10 source-mac 02:00:00:00:00:01 options 0x0e01010203040506
`,
	"neighbour advertisement": `
eth 02:00:00:00:00:01 > 33:33:00:00:00:01
ipv6 2001:db8::10 > ff02::1 hop 255
icmp6 neighbour-advertisement rest 0x20000000
neighbour 2001:db8::10 target-mac 02:00:00:00:00:01
`,
}

func TestTextSurvivesEncodingAndDecoding(t *testing.T) {
	for name, text := range samples {
		t.Run(name, func(t *testing.T) {
			text = strings.TrimPrefix(text, "\n")
			if got := packet.Format(packet.MustEncode(text)); got != text {
				t.Errorf("another text came back:\n%s", packet.DiffText(text, got))
			}
		})
	}
}

// checkLossless proves what Decode and Parse promise for any bytes.
func checkLossless(t *testing.T, frame []byte) {
	t.Helper()
	decoded := packet.Decode(frame)
	again, err := decoded.Encode()
	if err != nil || !bytes.Equal(again, frame) {
		t.Fatalf("decoded and encoded: %x, %v; want %x\n%s", again, err, frame, decoded)
	}
	parsed, err := packet.Parse(decoded.String())
	if err != nil {
		t.Fatalf("text of %x does not parse: %v\n%s", frame, err, decoded)
	}
	if again, err = parsed.Encode(); err != nil || !bytes.Equal(again, frame) {
		t.Fatalf("through text: %x, %v; want %x\n%s", again, err, frame, decoded)
	}
}

func TestFrameCutAtEveryLengthIsReadWithoutLoss(t *testing.T) {
	for name, text := range samples {
		frame := packet.MustEncode(text)
		t.Run(name, func(t *testing.T) {
			for n := range frame {
				checkLossless(t, frame[:n])
			}
		})
	}
}

func FuzzFramesAreReadWithoutLoss(f *testing.F) {
	for _, text := range samples {
		f.Add(packet.MustEncode(text))
	}
	f.Fuzz(func(t *testing.T, frame []byte) { checkLossless(t, frame) })
}

func FuzzParseNeverPanics(f *testing.F) {
	for _, text := range samples {
		f.Add(text)
	}
	f.Add("cut 3")
	f.Add("patch 1 0x00")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := packet.Parse(text)
		if err != nil {
			return
		}
		if frame, err := p.Encode(); err == nil {
			checkLossless(t, frame)
		}
	})
}

func TestFrameOfNothingButHeadersIsReadInBoundedTime(t *testing.T) {
	b := packet.MustEncode("eth 02:00:00:00:00:01 > 02:00:00:00:00:02\nipv6 ::1 > ::2 next 60")
	for range 8000 {
		b = append(b, 60, 0, 0, 0, 0, 0, 0, 0)
	}
	b[18], b[19] = byte(64000>>8), byte(64000&0xff)
	checkLossless(t, b)
	if n := len(packet.Decode(b)); n > 40 {
		t.Errorf("%d layers", n)
	}
}
