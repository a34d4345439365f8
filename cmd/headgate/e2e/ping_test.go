package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// ping asks an address a few times and returns how many answers came, and what ping said.
func (s *site) ping(addr netip.Addr, args ...string) (answers int, said string) {
	s.t.Helper()
	// What fails is seen from what it says.
	said, _ = s.star.Client.Run(s.t.Context(), "ping", append(args, "-n", "-c", "5", "-i", "0.02", "-W", "0.3", addr.String())...)
	return strings.Count(said, " bytes from "+addr.String()), said
}

// The VIPs of a star belong to no interface, so only the program can answer for them.
func TestPingOfAVIPIsAnsweredAndOfNoOtherAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(1, 8080, both)}))
	for _, family := range both {
		full := map[int]int{4: 1500 - 20 - 8, 6: 1500 - 40 - 8}[family]
		for _, size := range []int{0, 1, 56, 1000, full} {
			if n, said := s.ping(s.star.VIP(family), "-s", fmt.Sprint(size)); n != 5 {
				t.Errorf("%d bytes over IPv%d: %d answers of 5:\n%s", size, family, n, said)
			}
		}
		if n, said := s.ping(s.star.VIP(family).Next()); n != 0 {
			t.Errorf("beside the VIP over IPv%d: %d answers:\n%s", family, n, said)
		}
		if n, said := s.ping(s.star.BalancerAddr(0, family)); n != 5 {
			t.Errorf("the host's own address over IPv%d: %d answers of 5:\n%s", family, n, said)
		}
	}
	if out := s.cli("maps", "dump", "reasons"); !strings.Contains(out, "echo_answered") {
		t.Errorf("not counted:\n%s", out)
	}
}
