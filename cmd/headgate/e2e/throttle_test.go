package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/scripts/lab/peer"
)

// hurried is a client that opens flows much faster than it may.
type hurried struct {
	network string
	from    netip.Addr
	port    int
	load    *peer.Client
}

// throttled is how many flows a client may open a second in the tests.
const throttled = 5

func (s *site) hurry(network string, from netip.Addr, port int) *hurried {
	s.t.Helper()
	family := 4
	if from.Is6() {
		family = 6
	}
	// With the timeout, TCP never sends its SYN a second time.
	return &hurried{network, from, port, s.startLoad(peer.Load{
		Network: network, Address: s.vip(family, port), Source: from, Workers: 3, Interval: 50 * time.Millisecond, Timeout: 200 * time.Millisecond,
	})}
}

// A client address, of IPv6 a /64, opens so many flows a second in all configs of the balancer together, TCP and
// UDP apart; more are dropped, other clients are not concerned, and what is open goes on.
func TestThrottle(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, smallTable)
	v4, v6, err := s.star.AddClients(2)
	s.must(err)
	elsewhere := netip.MustParseAddr("fd78::2")
	s.must(s.star.Client.AddAddress("eth0", netip.PrefixFrom(elsewhere, 64)))
	s.servers()
	keys := fmt.Sprintf("    client_conn_throttle: %[1]d\n    client_udp_sess_throttle: %[1]d\n    configs:\n", throttled)
	s.run(strings.Replace(s.yaml(
		conf{port: 80, nodes: members(1, 8080, both)},
		conf{port: 81, nodes: members(1, 8080, both)},
		conf{port: 53, proto: "udp", nodes: members(1, 5353, both)},
		conf{port: 54, proto: "udp", nodes: members(1, 5353, both)},
	), "    configs:\n", keys, 1))

	own := s.star.ClientAddr
	held := []*peer.Client{s.hold("tcp", 4, 80, throttled), s.hold("tcp", 6, 80, throttled), s.hold("udp", 4, 53, throttled), s.hold("udp", 6, 53, throttled)}
	begin := time.Now()
	var groups [][]*hurried // of which each shares what a client may open
	for _, network := range []string{"tcp", "udp"} {
		ports := map[string][2]int{"tcp": {80, 81}, "udp": {53, 54}}[network]
		groups = append(groups,
			[]*hurried{s.hurry(network, own(4), ports[0]), s.hurry(network, own(4), ports[1])},
			[]*hurried{s.hurry(network, v4[0], ports[0])},
			[]*hurried{s.hurry(network, v6[0], ports[0]), s.hurry(network, v6[1], ports[1])},
			[]*hurried{s.hurry(network, elsewhere, ports[0])},
		)
	}
	poll(t, soon, "three seconds are over", func() bool { return time.Since(begin) > 3*time.Second })
	for _, c := range held {
		if r := s.pulse(c); r.Failed != 0 {
			t.Errorf("a flow that was open: %+v", r)
		}
	}
	dropped := 0
	for _, g := range groups {
		done := 0
		for _, h := range g {
			r := s.finish(h.load)
			done += r.Done
			dropped += r.Failed
			if r.Failures["timeout"] != r.Failed {
				t.Errorf("%s from %s: %v, want nothing but timeouts", h.network, h.from, r.Failures)
			}
		}
		// At once as many as in a second, and then by the rate.
		if most := throttled * (2 + int(time.Since(begin)/time.Second)); done < 2*throttled || done > most {
			t.Errorf("%s from %s (%d loads): %d flows, want from %d to %d", g[0].network, g[0].from, len(g), done, 2*throttled, most)
		}
	}
	counted := 0
	for _, reason := range s.status().Refused {
		if reason.Name == "throttled" {
			counted = int(reason.Packets)
		}
	}
	if counted < dropped || dropped == 0 {
		t.Errorf("%d packets are counted as throttled, clients missed %d", counted, dropped)
	}
	s.checkCounts()
}
