package main

import (
	"os"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/packet"
)

const macs = "eth 02:00:00:00:00:02 > 02:00:00:00:00:01\n"

func TestExplainAsksAboutThePacketThatIsDescribed(t *testing.T) {
	f := busy()
	f.story = api.Story{Fate: "forwarded", Steps: []api.Sentence{{Stage: "packet", Text: "one"}, {Stage: "next hop", Text: "two"}}}
	daemonOn(t, f)
	for line, want := range map[string]string{
		"--src 198.51.100.7:40000 --dst 203.0.113.10:80":                                         "ipv4 198.51.100.7 > 203.0.113.10 ttl 64 df\ntcp 40000 > 80 S seq 1 win 64240\n",
		"--src [2001:db8::7]:1 --dst [2001:db8::10]:80 --flags fin,ack --ttl 2 --interface eth1": "ipv6 2001:db8::7 > 2001:db8::10 hop 2\ntcp 1 > 80 FA seq 1 ack 1 win 64240\n",
		"--proto udp --src 198.51.100.7:1 --dst 203.0.113.10:53 --payload 5":                     "ipv4 198.51.100.7 > 203.0.113.10 ttl 64 df\nudp 1 > 53\ndata 5*00\n",
		"--proto icmp --src 198.51.100.7 --dst 203.0.113.10":                                     "ipv4 198.51.100.7 > 203.0.113.10 ttl 64 df\nicmp echo rest 0x00010001\n",
		"--proto icmp --src 2001:db8::7 --dst 2001:db8::10":                                      "ipv6 2001:db8::7 > 2001:db8::10 hop 64\nicmp6 echo rest 0x00010001\n",
		"--proto udp --src 198.51.100.7:1 --dst 203.0.113.10:53 --fragment first":                "ipv4 198.51.100.7 > 203.0.113.10 ttl 64 id 1 mf\nudp 1 > 53\n",
		"--proto udp --src 198.51.100.7:1 --dst 203.0.113.10:53 --fragment later":                "ipv4 198.51.100.7 > 203.0.113.10 ttl 64 id 1 offset 185 protocol 17\ndata 8*00\n",
		"--proto udp --src [2001:db8::7]:1 --dst [2001:db8::10]:53 --fragment later":             "ipv6 2001:db8::7 > 2001:db8::10 hop 64\nfragment id 1 offset 185 next 17\ndata 8*00\n",
		"--src 198.51.100.7:40000 --dst 203.0.113.10:80 --error":                                 "ipv4 198.51.100.7 > 203.0.113.10 ttl 64 df\nicmp unreachable code 4 rest 0x00000500\nipv4 203.0.113.10 > 198.51.100.7 ttl 63 df\ntcp 80 > 40000 A seq 1 win 64240\n",
		"--src [2001:db8::7]:40000 --dst [2001:db8::10]:80 --error":                              "ipv6 2001:db8::7 > 2001:db8::10 hop 64\nicmp6 too-big rest 0x00000500\nipv6 2001:db8::10 > 2001:db8::7 hop 63\ntcp 80 > 40000 A seq 1 win 64240\n",
	} {
		o := command(t, append([]string{"explain"}, strings.Fields(line)...)...)
		if o.code != exitDone || o.out != "packet    one\nnext hop  two\n" {
			t.Errorf("%s: %+v", line, o)
		}
		if got := packet.Format(f.question.Frame); got != macs+want {
			t.Errorf("%s:\n%swant\n%s", line, got, macs+want)
		}
		if in := f.question.Interface; in != "" && in != "eth1" {
			t.Errorf("%s: interface %q", line, in)
		}
	}
}

func TestExplainTakesAFrameAsItWasRecorded(t *testing.T) {
	f := busy()
	daemonOn(t, f)
	frame := packet.MustEncode(macs + "ipv4 198.51.100.7 > 203.0.113.10\nudp 1 > 2")
	path := t.TempDir() + "/recorded"
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriter(file)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(frame), Length: len(frame)}, frame); err != nil {
		t.Fatal(err)
	}
	recording, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	digits := ""
	for i, b := range frame {
		digits += string("0123456789abcdef"[b>>4]) + string("0123456789ABCDEF"[b&15]) + map[bool]string{true: "\n"}[i%16 == 15] + map[bool]string{true: ":"}[i%16 == 3]
	}
	for _, c := range []struct {
		stdin string
		args  []string
	}{
		{"", []string{"--pcap", path}}, {string(recording), []string{"--pcap", "-"}},
		{"", []string{"--hex", digits}}, {"0x" + digits, []string{"--hex", "-"}},
	} {
		f.question = api.Question{}
		o := commandIn(t, env{stdin: strings.NewReader(c.stdin)}, append([]string{"explain"}, c.args...)...)
		if o.code != exitDone || string(f.question.Frame) != string(frame) {
			t.Errorf("%q: %+v %x", c.args, o, f.question.Frame)
		}
	}
}

func TestExplainRefusesWhatIsNoPacket(t *testing.T) {
	daemonOn(t, busy())
	for line, want := range map[string]string{
		"":                     "explain needs a packet",
		"--src 198.51.100.7:1": "explain needs a packet",
		"--src 198.51.100.7 --dst 203.0.113.10:80":                            "--src 198.51.100.7: must be ADDRESS:PORT",
		"--proto icmp --src 198.51.100.7:1 --dst 203.0.113.10":                "--src 198.51.100.7:1: must be an IP address: a ping has no port",
		"--src 198.51.100.7:1 --dst [2001:db8::10]:80":                        "both must be IPv4, or both IPv6",
		"--src 198.51.100.7:1 --dst 203.0.113.10:80 --flags x":                "--flags x: must be of fin, syn",
		"--src 198.51.100.7:1 --dst 203.0.113.10:80 --proto sctp":             "--proto sctp: must be tcp, udp or icmp",
		"--src 198.51.100.7:1 --dst 203.0.113.10:80 --ttl 256":                "--ttl 256: must be from 0 to 255",
		"--src 198.51.100.7:1 --dst 203.0.113.10:80 --ttl x":                  "--ttl x: must be a number from 0 to 255",
		"--src 198.51.100.7:1 --dst 203.0.113.10:80 --fragment middle":        "--fragment middle: must be first or later",
		"--src 198.51.100.7:1 --dst 203.0.113.10:80 --fragment first --error": "--error goes with --proto tcp or udp alone",
		"--src 198.51.100.7:1 --dst 203.0.113.10:80 --hex 00":                 "--hex and --src do not go together",
		"--hex 0g":                     "--hex: must be pairs of hexadecimal digits",
		"--pcap explain.go --number 0": "--number 0: packets are counted from 1",
		"--pcap explain.go":            "--pcap explain.go: it is neither pcap nor pcapng",
	} {
		o := command(t, append([]string{"explain"}, strings.Fields(line)...)...)
		if o.code != exitUsage || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: %d %s, want %q", line, o.code, o.stderr, want)
		}
	}
}
