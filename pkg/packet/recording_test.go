package packet_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/headgate/headgate/pkg/packet"
)

// recorded is two frames in pcap and in pcapng; the second is cut by a byte.
func recorded(t *testing.T, kind layers.LinkType) (old, ng []byte) {
	t.Helper()
	var a, b bytes.Buffer
	w := pcapgo.NewWriter(&a)
	if err := w.WriteFileHeader(65536, kind); err != nil {
		t.Fatal(err)
	}
	wng, err := pcapgo.NewNgWriter(&b, kind)
	if err != nil {
		t.Fatal(err)
	}
	for i, frame := range []string{"first frame", "second fram"} {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(frame), Length: len(frame) + i}
		if err := w.WritePacket(info, []byte(frame)); err != nil {
			t.Fatal(err)
		}
		if err := wng.WritePacket(info, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	if err := wng.Flush(); err != nil {
		t.Fatal(err)
	}
	return a.Bytes(), b.Bytes()
}

func TestAFrameIsFoundInWhatWasRecorded(t *testing.T) {
	old, ng := recorded(t, layers.LinkTypeEthernet)
	raw, _ := recorded(t, layers.LinkTypeLinuxSLL)
	for format, file := range map[string][]byte{"pcap": old, "pcapng": ng} {
		if frame, err := packet.ReadRecorded(bytes.NewReader(file), 1); err != nil || string(frame) != "first frame" {
			t.Errorf("%s: %q, %v", format, frame, err)
		}
		for n, want := range map[int]string{2: "packet 2 was cut: 11 of its 12 bytes", 3: "it has no packet 3, only 2"} {
			if _, err := packet.ReadRecorded(bytes.NewReader(file), n); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", format, err, want)
			}
		}
	}
	for want, file := range map[string]string{
		"shorter than its header": "", "neither pcap nor pcapng": strings.Repeat("no recording", 9), "no Ethernet frames but Linux SLL": string(raw),
	} {
		if _, err := packet.ReadRecorded(strings.NewReader(file), 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
