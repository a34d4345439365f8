package v4

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/lb"
)

// vipsOf are the addresses of an answer.
func vipsOf(body string) (out [2]string) {
	for i, key := range []string{`"ipv4":`, `"ipv6":`} {
		_, rest, _ := strings.Cut(body, key)
		out[i], _, _ = strings.Cut(rest, ",")
		out[i] = strings.Trim(out[i], `"`)
	}
	return out
}

func (b *bed) create(body string) [2]string {
	b.Helper()
	return vipsOf(b.want("POST", "/v4/nodebalancers", body, 200, ""))
}

func TestVIPsComeOutOfThePoolOneByOne(t *testing.T) {
	b := newBed(t)
	b.declare(
		lb.Balancer{Label: "of-a-file", IPv4: netip.MustParseAddr("203.0.113.4"), Configs: []lb.Config{{Port: 80, Nodes: []lb.Node{
			{Label: "abc", Address: netip.MustParseAddrPort("203.0.113.5:80"), Weight: 1}}}}},
	)
	// .0 and .15 are the network's, .2 is the host's own, .4 a VIP and .5 a node.
	for i, want := range []string{"203.0.113.1", "203.0.113.3", "203.0.113.6"} {
		if got := b.create(`{"region":"local"}`); got != [2]string{want, fmt.Sprintf("2001:db8:1::%d", i+1)} {
			t.Errorf("%v, want %s", got, want)
		}
	}
	if got := b.create(`{"region":"local","ipv4":"203.0.113.0"}`); got[0] != "203.0.113.0" { // for who asks
		t.Error(got)
	}
	b.want("DELETE", "/v4/nodebalancers/5", "", 200, "{}")
	if got := b.create(`{"region":"local"}`); got[0] != "203.0.113.3" || got[1] != "2001:db8:1::2" { // again free
		t.Error(got)
	}
}

func TestAFamilyMayBeLeftOut(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"region":"local","ipv6":null}`:                         {"203.0.113.1", "null"},
		`{"region":"local","ipv4":null}`:                         {"null", "2001:db8:1::1"},
		`{"region":"local","ipv4":null,"ipv6":null}`:             {"203.0.113.1", "null"}, // never both
		`{"region":"local","ipv4":"203.0.113.9","ipv6":null}`:    {"203.0.113.9", "null"},
		`{"region":"local","ipv4":null,"ipv6":"2001:db8:1::77"}`: {"null", "2001:db8:1::77"},
		`{"region":"local","ipv4":"203.0.113.9"}`:                {"203.0.113.9", "2001:db8:1::1"},
	} {
		if got := newBed(t).create(body); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestAPoolThatIsUsedUpIsSaidToBe(t *testing.T) {
	b := newBed(t)
	b.server.site.Pool.Prefixes = []netip.Prefix{netip.MustParsePrefix("203.0.113.8/31"), netip.MustParsePrefix("203.0.113.7/32")}
	for _, want := range []string{"203.0.113.8", "203.0.113.9", "203.0.113.7"} {
		if got := b.create(`{"region":"local"}`); got != [2]string{want, "null"} {
			t.Errorf("%v, want %s", got, want)
		}
	}
	b.want("POST", "/v4/nodebalancers", `{"region":"local"}`, 400,
		`{"errors":[{"reason":"no free address is left in vip_pool: remove balancers, or add a prefix to the configuration of this host","field":"ipv4"}]}`)
	b.server.site.Pool.Prefixes = nil
	b.want("POST", "/v4/nodebalancers", `{"region":"local"}`, 400,
		`{"errors":[{"reason":"no VIP is left to give: vip_pool is empty in the configuration of this host","field":"ipv4"}]}`)
}

func TestABalancerOfAFileWithoutIPv4HasANameToo(t *testing.T) {
	b := newBed(t)
	b.declare(lb.Balancer{Label: "six", IPv6: netip.MustParseAddr("2001:db8::7")})
	if got := b.want("GET", "/v4/nodebalancers/1", "", 200, ""); !strings.Contains(got, `"hostname":"2001-db8--7.headgate.internal","ipv4":null`) {
		t.Error(got)
	}
}
