package packet_test

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/packet"
)

func TestDiffShowsLayersAndTheFieldsThatDiffer(t *testing.T) {
	want := packet.MustEncode(samples["tcp4"])
	text := strings.NewReplacer("ttl 64", "ttl 63", "seq 1 ", "seq 9 ").Replace(samples["tcp4"])
	got := packet.Diff(want, packet.MustEncode(text+"padding 0x0102\n"))
	const expected = `  eth 02:00:00:00:00:01 > 02:00:00:00:00:02
- ipv4 198.51.100.7 > 203.0.113.10 ttl 64 tos 16 id 7 df
+ ipv4 198.51.100.7 > 203.0.113.10 ttl 63 tos 16 id 7 df
    is 63, not 64
- tcp 40000 > 80 PA seq 1 ack 2 win 502 options 0x0101080a0000000100000002
+ tcp 40000 > 80 PA seq 9 ack 2 win 502 options 0x0101080a0000000100000002
    is 9, not 1
  data "GET / HTTP/1.0"
+ padding 0x0102
`
	if got != expected {
		t.Errorf("got\n%swant\n%s", got, expected)
	}
}

func TestDiffOfEqualFramesIsEmpty(t *testing.T) {
	frame := packet.MustEncode(samples["tcp4"])
	if got := packet.Diff(frame, frame); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestDiffSeesWhatOneSideLacks(t *testing.T) {
	if got := packet.DiffText("a\nb\nc\n", "a\nc\n"); got != "  a\n- b\n  c\n" {
		t.Errorf("got %q", got)
	}
}
