package lb

import (
	"net/netip"
	"time"
)

// sample is a valid declaration with both families, both protocols and every mode.
func sample() []Balancer {
	bs := []Balancer{{
		ID:    1,
		Label: "web",
		Tags:  []string{"production"},
		IPv4:  netip.MustParseAddr("203.0.113.10"),
		IPv6:  netip.MustParseAddr("2001:db8::10"),

		ConnThrottle: 5, SessionThrottle: 3,
		Configs: []Config{{
			Port:        80,
			MinEligible: MinEligible{50, true}, FailbackDelay: time.Minute, SlowStart: 30 * time.Second,
			Stickiness: StickTable, StickTTL: time.Hour, StickRefresh: true,
			Check: Check{Type: CheckConnection, Interval: 2 * time.Second, Timeout: time.Second},
			Nodes: []Node{
				{Label: "web-1", Address: netip.MustParseAddrPort("192.0.2.11:8080"), Weight: 100, MaxConns: 500},
				{Label: "web-2", Address: netip.MustParseAddrPort("192.0.2.12:8080"), Weight: 50, Mode: Drain},
				{Label: "web-6", Address: netip.MustParseAddrPort("[2001:db8:1::1]:8080"), Weight: 1, Mode: Backup},
			},
		}, {
			Port:  443,
			Nodes: []Node{{Label: "tls-1", Address: netip.MustParseAddrPort("192.0.2.11:8443"), Weight: 255, Mode: Reject}},
		}},
	}, {
		Label: "dns",
		IPv4:  netip.MustParseAddr("203.0.113.53"),
		Configs: []Config{
			{Port: 53, Protocol: UDP, Nodes: []Node{{Label: "ns-1", Address: netip.MustParseAddrPort("192.0.2.53:53"), Weight: DefaultWeight}}},
			{Port: 53, Protocol: TCP, Nodes: []Node{{Label: "ns-1", Address: netip.MustParseAddrPort("192.0.2.53:53"), Weight: DefaultWeight}}},
		},
	}}
	for i := range bs {
		bs[i].SetDefaults()
	}
	return bs
}
