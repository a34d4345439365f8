package lb

import (
	"net/netip"
	"testing"
)

func TestAPoolGivesWhatNobodyHas(t *testing.T) {
	pool := Pool{
		Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/29"), netip.MustParsePrefix("2001:db8::/64")},
		Shunned:  []netip.Addr{netip.MustParseAddr("203.0.113.2")},
	}
	there := []Balancer{{Label: "of-a-file", IPv4: netip.MustParseAddr("203.0.113.1"), Configs: []Config{{Port: 80, Nodes: []Node{
		{Label: "node", Address: netip.MustParseAddrPort("203.0.113.3:80")}}}}}}
	// .0 and .7 are the network's, .1 is a VIP, .2 the host's own, .3 a node's.
	for _, want := range []string{"203.0.113.4 2001:db8::1", "203.0.113.5 2001:db8::2", "203.0.113.6 2001:db8::3"} {
		b := Balancer{Label: "new"}
		if reason := pool.Give(&b, there); reason != "" || b.IPv4.String()+" "+b.IPv6.String() != want {
			t.Errorf("%s %s %q, want %s", b.IPv4, b.IPv6, reason, want)
		}
		there = append(there, b)
	}
	b := Balancer{Label: "too-many"}
	if reason := pool.Give(&b, there); reason != PoolUsedUp || len(b.VIPs()) > 0 {
		t.Errorf("%q, %v: half of the addresses are none", reason, b.VIPs())
	}
	if reason := (&Pool{}).Give(&b, nil); reason != PoolEmpty {
		t.Errorf("%q", reason)
	}
	pool.Prefixes = pool.Prefixes[1:]
	if reason := pool.Give(&b, nil); reason != "" || b.IPv4.IsValid() || b.IPv6.String() != "2001:db8::1" {
		t.Errorf("a pool of one family: %q, %v", reason, b.VIPs())
	}
}
