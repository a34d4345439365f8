package e2e

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// Frames that fill several buffers of the driver, in native mode.
func TestJumboFrames(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable+"xdp_mode: native\n")
	for _, l := range []struct {
		ns     *lab.Namespace
		ifname string
	}{{s.star.Client, "eth0"}, {s.star.Balancer, "client"}, {s.star.Balancer, "node1"}, {s.star.Nodes[0], "eth0"}} {
		s.must(l.ns.SetMTU(l.ifname, 9000))
	}
	s.servers()
	s.run(s.yaml(
		conf{port: 80, nodes: members(1, 8080, both)}, conf{port: 53, proto: "udp", nodes: members(1, 5353, both)},
		conf{port: 54, proto: "udp", nodes: []member{{port: 5353, mode: "reject"}, {port: 5353, family: 6, mode: "reject"}}},
	))
	file := s.writeFile("upload", string(bytes.Repeat([]byte("0123456789abcdef"), 1<<18)))
	for _, family := range both {
		if n, said := s.ping(s.star.VIP(family), "-M", "do", "-s", "8900"); n != 5 {
			t.Errorf("IPv%d: %d answers of 5:\n%s", family, n, said)
		}
		question := bytes.Repeat([]byte("x"), 8900)
		if answer, err := ask(s.star.Client, s.vip(family, 53), question); err != nil || len(answer) != 8902 {
			t.Errorf("IPv%d: of 8902 bytes %d came back: %v", family, len(answer), err)
		}
		url := "http://" + s.vip(family, 80)
		for _, args := range [][]string{{"--data-binary", "@" + file, url + "/upload"}, {"-o", "/dev/null", fmt.Sprintf("%s/download?bytes=%d&seconds=0", url, 4<<20)}} {
			if out, err := s.star.Client.Run(t.Context(), "curl", append([]string{"-sS", "--fail", "--max-time", "5"}, args...)...); err != nil {
				t.Errorf("IPv%d: %s %v", family, out, err)
			}
		}
		refused := s.load(peer.Load{Network: "udp", Address: s.vip(family, 54), Workers: 1, Count: 1, Timeout: 500e6})
		if refused.Failures["refused"] != 1 {
			t.Errorf("IPv%d: without nodes: %+v", family, refused)
		}
	}
	s.checkCounts()
}
