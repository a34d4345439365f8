package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAValidDeclarationHasNoFault(t *testing.T) {
	if faults := Validate(sample()); faults != nil {
		t.Error(faults)
	}
	if faults := Validate(nil); faults != nil {
		t.Error(faults)
	}
}

func TestFamilyWithAVIPNeedsNoNodes(t *testing.T) {
	bs := sample()
	bs[0].Configs[0].Nodes = bs[0].Configs[0].Nodes[:1] // IPv4 only; the IPv6 VIP stays
	if faults := Validate(bs); faults != nil {
		t.Error(faults)
	}
}

// TestEachFaultIsFound changes one thing of a valid declaration and expects exactly that fault.
func TestEachFaultIsFound(t *testing.T) {
	addr, addrPort := netip.MustParseAddr, netip.MustParseAddrPort
	type bal = []Balancer
	const (
		web    = "balancers[0]"
		config = web + ".configs[0]"
		node   = config + ".nodes[0]"
	)
	tests := []struct {
		name string
		edit func(bal)
		want string
	}{
		{"label missing", func(b bal) { b[0].Label = "" }, web + ".label: is required"},
		{"label short", func(b bal) { b[0].Label = "ab" }, web + ".label: must have from 3 to 32 characters, not 2"},
		{"label long", func(b bal) { b[0].Label = strings.Repeat("a", 33) }, web + ".label: must have from 3 to 32 characters, not 33"},
		{"label letters", func(b bal) { b[0].Label = "a.bc" }, web + `.label: "a.bc" has '.': only letters, digits and any of -_ are allowed`},
		{"label twice", func(b bal) { b[1].Label = "web" }, `balancers[1].label: "web" is already the label of balancers[0]: each needs its own`},
		{"no VIP", func(b bal) { b[1].IPv4 = netip.Addr{} }, "balancers[1]: needs a virtual address: set ipv4, ipv6 or both"},
		{"VIP twice", func(b bal) { b[1].IPv4 = b[0].IPv4 }, "balancers[1].ipv4: 203.0.113.10 is already the VIP of balancers[0] (web): each needs its own"},
		{"VIP of the other family", func(b bal) { b[1].IPv4 = addr("2001:db8::1") }, "balancers[1].ipv4: 2001:db8::1 is not an IPv4 address"},
		{"VIP of the other family 6", func(b bal) { b[0].IPv6 = addr("198.51.100.1") }, web + ".ipv6: 198.51.100.1 is not an IPv6 address"},
		{"VIP loopback", func(b bal) { b[0].IPv4 = addr("127.0.0.1") }, web + ".ipv4: 127.0.0.1 is a loopback address: packets to it never leave a host"},
		{"VIP mapped", func(b bal) { b[0].IPv6 = addr("::ffff:192.0.2.1") }, web + ".ipv6: ::ffff:192.0.2.1 is an IPv4 address in IPv6 clothes: write 192.0.2.1"},
		{"VIP with zone", func(b bal) { b[0].IPv6 = addr("fe80::1%eth0") }, web + ".ipv6: fe80::1%eth0 names an interface: write an address without %eth0"},
		{"VIP link-local", func(b bal) { b[0].IPv6 = addr("fe80::1") }, web + ".ipv6: fe80::1 is a link-local address, valid on one link only: write a global or unique-local one"},
		{"port 0", func(b bal) { b[0].Configs[0].Port = 0 }, config + ".port: must be from 1 to 65535, not 0"},
		{"port twice", func(b bal) { b[0].Configs[1].Port = 80 }, web + ".configs[1].port: tcp 80 is already the port of configs[0]: each needs its own"},
		{"protocol", func(b bal) { b[0].Configs[0].Protocol = "http" }, config + `.protocol: "http" is not there yet: only tcp, udp`},
		{"algorithm", func(b bal) { b[0].Configs[0].Algorithm = "random" }, config + `.algorithm: "random" is not there yet: only roundrobin, leastconn, source, ring_hash`},
		{"algorithm of UDP", func(b bal) { b[0].Configs[0].Algorithm = RingHash }, config + `.algorithm: with protocol tcp must be one of roundrobin, leastconn, source, not "ring_hash"`},
		{"algorithm of TCP", func(b bal) { b[1].Configs[0].Algorithm = Source }, `balancers[1].configs[0].algorithm: with protocol udp must be one of roundrobin, leastconn, ring_hash, not "source"`},
		{"min_eligible", func(b bal) { b[0].Configs[0].MinEligible = MinEligible{} }, config + ".min_eligible: must be from 1 to 32767, not 0"},
		{"min_eligible in percent", func(b bal) { b[0].Configs[0].MinEligible = MinEligible{101, true} }, config + ".min_eligible: must be from 1% to 100% of the primaries' weight, not 101%"},
		{"failback_delay", func(b bal) { b[0].Configs[0].FailbackDelay = -time.Second }, config + ".failback_delay: must be from 0s to 24h, not -1s"},
		{"slow_start", func(b bal) { b[0].Configs[0].SlowStart = 61 * time.Minute }, config + ".slow_start: must be from 0s to 1h, not 1h1m"},
		{"max_conns", func(b bal) { b[0].Configs[0].Nodes[0].MaxConns = -1 }, node + ".max_conns: must be from 0 to 1000000000, not -1"},
		{"algorithm unheard of", func(b bal) { b[0].Configs[0].Algorithm = "x" }, config + `.algorithm: must be one of roundrobin, leastconn, source, ring_hash, not "x"`},
		{"stickiness", func(b bal) { b[0].Configs[0].Stickiness = "x" }, config + `.stickiness: must be one of none, table, session, source_ip, not "x"`},
		{"stickiness of the other protocol", func(b bal) { b[0].Configs[0].Stickiness = StickSession }, config + `.stickiness: with protocol tcp must be one of none, table, not "session"`},
		{"stickiness of the other protocol, UDP", func(b bal) { b[1].Configs[0].Stickiness = StickTable },
			`balancers[1].configs[0].stickiness: with protocol udp must be one of session, none, source_ip, not "table"`},
		{"stickiness by cookies", func(b bal) { b[0].Configs[0].Stickiness = "http_cookie" },
			config + `.stickiness: "http_cookie" needs a proxy that reads HTTP, and connections pass through here as they are: use table`},
		{"stickiness of no protocol", func(b bal) { b[0].Configs[0].Protocol, b[0].Configs[0].Stickiness = "x", StickSession }, config + `.protocol: must be one of tcp, udp, not "x"`},
		{"stick_ttl", func(b bal) { b[0].Configs[0].StickTTL = time.Millisecond }, config + ".stick_ttl: must be from 1s to 168h, not 1ms"},
		{"client_conn_throttle", func(b bal) { b[0].ConnThrottle = 21 }, web + ".client_conn_throttle: must be from 0 to 20, not 21"},
		{"client_udp_sess_throttle", func(b bal) { b[0].SessionThrottle = -1 }, web + ".client_udp_sess_throttle: must be from 0 to 20, not -1"},
		{"on_no_backend", func(b bal) { b[0].Configs[0].OnNoBackend = "x" }, config + `.on_no_backend: must be one of reset, drop, open, not "x"`},
		{"on_down", func(b bal) { b[0].Configs[0].OnDown = "x" }, config + `.on_down: must be one of keep, reset, not "x"`},
		{"tcp_idle", func(b bal) { b[0].Configs[0].TCPIdle = 59 * time.Second }, config + ".tcp_idle: must be from 1m to 168h, not 59s"},
		{"udp_idle", func(b bal) { b[0].Configs[0].UDPIdle = 25 * time.Hour }, config + ".udp_idle: must be from 1s to 24h, not 25h"},
		{"drain_deadline", func(b bal) { b[0].Configs[0].DrainDeadline = -2 }, config + ".drain_deadline: must be from 1s to 168h, not -2ns"},
		{"reject_deadline", func(b bal) { b[0].Configs[0].RejectDeadline = 169 * time.Hour }, config + ".reject_deadline: must be from 1s to 168h, not 169h"},
		{"remove_deadline", func(b bal) { b[0].Configs[0].RemoveDeadline = NoDeadline }, config + ".remove_deadline: must be from 1s to 168h, not -1ns"},
		{"check", func(b bal) { b[0].Configs[0].Check.Type = "ping" }, config + `.check: must be one of none, connection, http, https, http_body, udp, grpc, not "ping"`},
		{"check_interval", func(b bal) { b[0].Configs[0].Check.Interval = 99 * time.Millisecond }, config + ".check_interval: must be from 100ms to 1h, not 99ms"},
		{"check_timeout", func(b bal) { b[0].Configs[0].Check.Timeout = 31 * time.Second }, config + ".check_timeout: must be from 10ms to 30s, not 31s"},
		{"check_timeout not below the interval", func(b bal) { b[0].Configs[0].Check.Timeout = 2 * time.Second }, config + ".check_timeout: must be less than check_interval (2s), not 2s"},
		{"check_attempts", func(b bal) { b[0].Configs[0].Check.Attempts = 31 }, config + ".check_attempts: must be from 1 to 30, not 31"},
		{"check_rise", func(b bal) { b[0].Configs[0].Check.Rise = -1 }, config + ".check_rise: must be from 1 to 30, not -1"},
		{"node label", func(b bal) { b[0].Configs[0].Nodes[0].Label = "a/bc" }, node + `.label: "a/bc" has '/': only letters, digits and any of -_. are allowed`},
		{"weight 0", func(b bal) { b[0].Configs[0].Nodes[0].Weight = 0 }, node + ".weight: must be from 1 to 255, not 0"},
		{"weight 256", func(b bal) { b[0].Configs[0].Nodes[0].Weight = 256 }, node + ".weight: must be from 1 to 255, not 256"},
		{"mode", func(b bal) { b[0].Configs[0].Nodes[0].Mode = "none" }, node + `.mode: must be one of accept, reject, drain, backup, not "none"`},
		{"override", func(b bal) { b[0].Configs[0].Nodes[0].Override = "reject" }, node + `.override: must be one of none, up, down, not "reject"`},
		{"address missing", func(b bal) { b[0].Configs[0].Nodes[0].Address = netip.AddrPort{} }, node + ".address: is required"},
		{"address twice", func(b bal) { b[0].Configs[0].Nodes[1].Address = b[0].Configs[0].Nodes[0].Address },
			config + ".nodes[1].address: 192.0.2.11:8080 is already the address of nodes[0]: each needs its own"},
		{"address port 0", func(b bal) { b[0].Configs[0].Nodes[0].Address = addrPort("192.0.2.11:0") }, node + ".address: the port must be from 1 to 65535, not 0"},
		{"address loopback", func(b bal) { b[0].Configs[0].Nodes[0].Address = addrPort("[::1]:80") }, node + ".address: ::1 is a loopback address: packets to it never leave a host"},
		{"address multicast", func(b bal) { b[0].Configs[0].Nodes[0].Address = addrPort("224.0.0.1:80") }, node + ".address: 224.0.0.1 is a multicast address: write a unicast one"},
		{"address broadcast", func(b bal) { b[0].Configs[0].Nodes[0].Address = addrPort("255.255.255.255:80") }, node + ".address: 255.255.255.255 is the broadcast address: write a unicast one"},
		{"address unspecified", func(b bal) { b[0].Configs[0].Nodes[0].Address = addrPort("0.0.0.0:80") }, node + ".address: 0.0.0.0 is the unspecified address: write one that can be reached"},
		{"address is a VIP", func(b bal) { b[0].Configs[0].Nodes[0].Address = addrPort("203.0.113.53:80") }, node + `.address: 203.0.113.53 is the VIP of balancer "dns": its packets would come back here for ever`},
		{"address IPv6 without VIP", func(b bal) { b[1].Configs[0].Nodes[0].Address = addrPort("[2001:db8::99]:53") },
			"balancers[1].configs[0].nodes[0].address: 2001:db8::99 is IPv6, but the balancer has no ipv6 VIP: set one, or write an IPv4 address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bs := sample()
			tt.edit(bs)
			var got []string
			for _, f := range Validate(bs) {
				got = append(got, f.String())
			}
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIPv4NodeWithoutIPv4VIPIsAFault(t *testing.T) {
	bs := sample()
	bs[0].IPv4 = netip.Addr{}
	faults := Validate(bs)
	if len(faults) != 3 { // web-1, web-2, tls-1
		t.Fatalf("%v", faults)
	}
	want := "balancers[0].configs[0].nodes[0].address: 192.0.2.11 is IPv4, but the balancer has no ipv4 VIP: set one, or write an IPv6 address"
	if got := faults[0].String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestUDPMayShareThePortOfTCP(t *testing.T) {
	bs := sample()
	if bs[1].Configs[0].Port != bs[1].Configs[1].Port {
		t.Fatal("sample changed")
	}
	if faults := Validate(bs); faults != nil {
		t.Error(faults)
	}
}

func TestAllFaultsAreFoundAndInOrder(t *testing.T) {
	bs := sample()
	bs[0].Label = "x"
	bs[0].Configs[0].Nodes[0].Weight = 0
	bs[0].Configs[0].Nodes[2].Weight = 256
	bs[0].Configs[1].Port = 0
	bs[1].IPv4 = bs[0].IPv4
	var got []string
	for _, f := range Validate(bs) {
		got = append(got, f.Path)
	}
	want := []string{
		"balancers[0].label", "balancers[0].configs[0].nodes[0].weight", "balancers[0].configs[0].nodes[2].weight",
		"balancers[0].configs[1].port", "balancers[1].ipv4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyThingsBreakNothing(t *testing.T) {
	// Two of each, so that the comparisons among them run as well.
	bs := []Balancer{{Configs: []Config{{Nodes: make([]Node, 2)}, {}}}, {}}
	for _, f := range Validate(bs) {
		if strings.Contains(f.Reason, "already") {
			t.Errorf("a missing value was compared: %s", f)
		}
	}
}

func TestTenThousandNodesAreChecked(t *testing.T) {
	c := Config{Port: 80}
	for i := range 10_000 {
		c.Nodes = append(c.Nodes, Node{
			Label:   fmt.Sprintf("node-%d", i),
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80), Weight: 1,
		})
	}
	c.Nodes[9_999].Weight = 300
	bs := []Balancer{{Label: "big", IPv4: netip.MustParseAddr("203.0.113.1"), Configs: []Config{c}}}
	bs[0].SetDefaults()
	faults := Validate(bs)
	if len(faults) != 1 || faults[0].Path != "balancers[0].configs[0].nodes[9999].weight" {
		t.Error(faults)
	}
}

func TestFaultsAsAnErrorNameEach(t *testing.T) {
	err := Faults{{"a.b", "is bad"}, {"c", "is worse"}}
	if got := err.Error(); got != "a.b: is bad; c: is worse" {
		t.Error(got)
	}
}

// TestValidateChangedFindsWhatValidateFinds changes one balancer of several at random: as those before were valid
// together, looking at the changed one and at what it shares with the others must find every fault.
func TestValidateChangedFindsWhatValidateFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bs := many(5)
		i := rapid.IntRange(0, len(bs)-1).Draw(t, "which")
		before := bs[i].Clone()
		j := rapid.IntRange(0, len(bs)-1).Draw(t, "other")
		b, other := &bs[i], &bs[j]
		var same string // as the other has it
		switch rapid.SampledFrom([]string{"label", "vip", "vip of a node", "node of a vip", "weight", "nothing", "swap"}).Draw(t, "change") {
		case "label":
			b.Label, same = other.Label, "label"
		case "vip":
			b.IPv4, same = other.IPv4, "ipv4"
		case "vip of a node":
			b.IPv4 = other.Configs[0].Nodes[0].Address.Addr()
		case "node of a vip":
			b.Configs[0].Nodes[0].Address = netip.AddrPortFrom(other.IPv4, 80)
		case "weight":
			b.Configs[0].Nodes[1].Weight = 0
		case "swap":
			bs[0], bs[i] = bs[i], bs[0]
			i = 0
		}
		want := Validate(bs)
		if len(want) == 1 && same != "" && i < j { // not the second of the two is at fault, but the one that was otherwise
			want[0].Path = fmt.Sprintf("balancers[%d].%s", i, same)
			want[0].Reason = strings.Replace(want[0].Reason, fmt.Sprintf("balancers[%d] (%s)", i, b.Label), fmt.Sprintf("balancers[%d] (%s)", j, other.Label), 1)
			want[0].Reason = strings.Replace(want[0].Reason, fmt.Sprintf("balancers[%d]:", i), fmt.Sprintf("balancers[%d]:", j), 1)
		}
		got := ValidateChanged(bs, func(j int) *Balancer {
			if i == j {
				return &before
			}
			return &bs[j]
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// many are valid balancers that share nothing.
func many(n int) []Balancer {
	bs := make([]Balancer, n)
	for i := range bs {
		bs[i] = Balancer{Label: fmt.Sprintf("balancer-%d", i), IPv4: netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + i)})}
		c := Config{Port: 80}
		for k := range 3 {
			c.Nodes = append(c.Nodes, Node{
				Label: fmt.Sprintf("node-%d", k), Weight: 50,
				Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + 3*i + k)}), 80),
			})
		}
		bs[i].Configs = []Config{c}
		bs[i].SetDefaults()
	}
	return bs
}

func TestTags(t *testing.T) {
	for tag, want := range map[string]string{
		"production": "", "a": "", "größe:1": "", strings.Repeat("ü", 50): "",
		"":                      "balancers[0].tags[0]: must have from 1 to 50 characters, not 0",
		strings.Repeat("x", 51): "balancers[0].tags[0]: must have from 1 to 50 characters, not 51",
		"two\nlines":            `balancers[0].tags[0]: "two\nlines" has characters that cannot be printed`,
	} {
		bs := many(1)
		bs[0].Tags = []string{tag}
		got := ""
		if faults := Validate(bs); len(faults) > 0 {
			got = faults[0].String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", tag, got, want)
		}
	}
}

// Of two that are alike the one that became so is at fault, wherever it stands: the other can do nothing for it.
func TestWhoTakesWhatAnotherHasIsAtFault(t *testing.T) {
	type bal = []Balancer
	for _, tt := range []struct {
		name string
		edit func(b bal)
		want string
	}{
		{"label", func(b bal) { b[0].Label = b[1].Label }, `balancers[0].label: "balancer-1" is already the label of balancers[1]`},
		{"VIP", func(b bal) { b[0].IPv4 = b[1].IPv4 }, "balancers[0].ipv4: 203.0.113.2 is already the VIP of balancers[1] (balancer-1)"},
		{"port", func(b bal) { b[0].Configs[0].Port = 81 }, "balancers[0].configs[0].port: tcp 81 is already the port of configs[1]"},
		{"address", func(b bal) { b[0].Configs[0].Nodes[0].Address = b[0].Configs[0].Nodes[2].Address },
			"balancers[0].configs[0].nodes[0].address: 192.0.2.3:80 is already the address of nodes[2]"},
		{"address of a new one before it", func(b bal) {
			c := &b[0].Configs[0]
			added := c.Nodes[2]
			added.ID = 99
			c.Nodes = slices.Insert(c.Nodes, 0, added)
		}, "balancers[0].configs[0].nodes[0].address: 192.0.2.3:80 is already the address of nodes[3]"},
		{"address of a later one", func(b bal) { b[0].Configs[0].Nodes[2].Address = b[0].Configs[0].Nodes[0].Address },
			"balancers[0].configs[0].nodes[2].address: 192.0.2.1:80 is already the address of nodes[0]"},
	} {
		before := many(2)
		before[0].Configs = append(before[0].Configs, before[0].Clone().Configs[0])
		before[0].Configs[1].Port = 81
		for j := range before[0].Configs {
			c := &before[0].Configs[j]
			c.ID = 10 * (1 + j)
			for k := range c.Nodes {
				c.Nodes[k].ID = c.ID + 1 + k
			}
		}
		after := Clone(before)
		tt.edit(after)
		faults := ValidateChanged(after, func(i int) *Balancer { return &before[i] })
		if len(faults) != 1 || faults[0].String() != tt.want+": each needs its own" {
			t.Errorf("%s: %v, want %s", tt.name, faults, tt.want)
		}
	}
}
