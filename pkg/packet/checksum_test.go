package packet_test

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/packet"
)

func TestGopacketAgreesWithWhatIsEncoded(t *testing.T) {
	for name, text := range samples {
		if strings.Contains(text, "sum 0x") && !strings.Contains(text, "icmp") || name == "fragments" || name == "fragment6" {
			continue
		}
		if err := packet.Verify(packet.MustEncode(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyFindsEveryWrongBit(t *testing.T) {
	for _, name := range []string{"tcp4", "udp6 with extension headers"} {
		frame := packet.MustEncode(samples[name])
		first := 14 // the Ethernet header has no checksum of its own
		if name != "tcp4" {
			first = 22 // nor has IPv6: addresses are covered by UDP's
		}
		for i := first; i < len(frame); i++ {
			if name != "tcp4" && i >= 54 && i < 54+24 {
				continue // extension headers are not covered
			}
			frame[i] ^= 0x10
			if packet.Verify(frame) == nil {
				t.Errorf("%s: byte %d changed unseen:\n%s", name, i, packet.Format(frame))
			}
			frame[i] ^= 0x10
		}
	}
}

func TestVerifyReportsLayerAndBothSums(t *testing.T) {
	err := packet.Verify(packet.MustEncode(samples["wrong checksums"]))
	for _, want := range []string{"IPv4: checksum is 0x0001, should be 0x", "TCP: checksum is 0x0002, should be 0x"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestVerifyWantsChecksumOfUDPOnlyInIPv6(t *testing.T) {
	const eth = "eth 02:00:00:00:00:01 > 02:00:00:00:00:02\n"
	if err := packet.Verify(packet.MustEncode(eth + "ipv4 192.0.2.1 > 192.0.2.2\nudp 1 > 2 sum 0")); err != nil {
		t.Errorf("IPv4: %v", err)
	}
	if err := packet.Verify(packet.MustEncode(eth + "ipv6 2001:db8::1 > 2001:db8::2\nudp 1 > 2 sum 0")); err == nil {
		t.Error("IPv6: taken for right")
	}
}

func TestVerifyLooksIntoQuotedHeaders(t *testing.T) {
	frame := packet.MustEncode(samples["icmp error with what it quotes"])
	if err := packet.Verify(frame); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(samples["icmp error with what it quotes"], "length 1028", "length 1028 sum 0x0bad", 1)
	if err := packet.Verify(packet.MustEncode(text)); err == nil || !strings.Contains(err.Error(), "quoted") {
		t.Errorf("got %v, want the quoted header's fault", err)
	}
}

func TestUDPChecksumThatComesOutAsZeroIsSentAsOnes(t *testing.T) {
	const text = "eth 02:00:00:00:00:01 > 02:00:00:00:00:02\nipv4 0.0.0.1 > 0.0.0.2\nudp 1 > 2\ndata "
	frame := packet.MustEncode(text + "0x0000")
	sum := uint16(frame[40])<<8 | uint16(frame[41])
	frame = packet.MustEncode(text + "0x" + hex16(sum))
	if frame[40] != 0xff || frame[41] != 0xff {
		t.Errorf("checksum is %x, want ffff", frame[40:42])
	}
	if err := packet.Verify(frame); err != nil {
		t.Error(err)
	}
}

func hex16(v uint16) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[v>>12], digits[v>>8&15], digits[v>>4&15], digits[v&15]})
}
