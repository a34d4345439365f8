package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// BalancerFields are the keys of a balancer, beside its configs.
var BalancerFields = []Field[Balancer]{
	of("label", "`LABEL`, its name: letters, digits, - and _", name(label("")), func(b *Balancer) *string { return &b.Label }),
	of("ipv4", "`ADDRESS` that IPv4 clients connect to", or(vip(netip.Addr.Is4, "IPv4", netip.IPv4Unspecified())), func(b *Balancer) *netip.Addr { return &b.IPv4 }),
	of("ipv6", "`ADDRESS` that IPv6 clients connect to", or(vip(netip.Addr.Is6, "IPv6", netip.IPv6Unspecified())), func(b *Balancer) *netip.Addr { return &b.IPv6 }),
	of("client_conn_throttle", "`N` TCP connections a second that a client may open; 0: any number", number[int](ThrottleLimit), func(b *Balancer) *int { return &b.ConnThrottle }),
	of("client_udp_sess_throttle", "`N` UDP sessions a second that a client may open; 0: any number", number[int](ThrottleLimit), func(b *Balancer) *int { return &b.SessionThrottle }),
	of("announce", "`WHETHER` the host's networks are told of the addresses, and answered", flag(), func(b *Balancer) *bool { return &b.Announce }),
}

// BalancerSettings are BalancerFields and the tags, which a file has as a list, as one text.
var BalancerSettings = append(slices.Clip(slices.Clone(BalancerFields)), Field[Balancer]{
	Key: "tags", What: "`TAGS`, separated by commas, for people to sort by", Must: "words, separated by commas",
	set:    func(b *Balancer, text string) error { b.Tags = splitTags(text); return nil },
	get:    func(b *Balancer) string { return strings.Join(b.Tags, ",") },
	reason: func(*Balancer) string { return "" }, // Validate looks at each
	clear:  func(b *Balancer) { b.Tags = nil },
	spoil:  func(*Balancer) {},
})

// splitTags reads tags that are separated by commas, as commands have them.
func splitTags(text string) (tags []string) {
	for tag := range strings.SplitSeq(text, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

// ConfigFields are the keys of a config, beside its nodes. The first two are its name.
var ConfigFields = slices.Concat(trafficFields, checkFields)

// trafficFields say what becomes of packets.
var trafficFields = []Field[Config]{
	of("port", "`PORT` that clients connect to", name(number[uint16](PortLimit)), func(c *Config) *uint16 { return &c.Port }),
	of("protocol", "`PROTOCOL`", name(word(Protocols)), func(c *Config) *Protocol { return &c.Protocol }),
	of("algorithm", "`HOW` new flows are spread", word(Algorithms), func(c *Config) *Algorithm { return &c.Algorithm }),
	of("stickiness", "`WHAT` brings a client back to its node", stickiness(), func(c *Config) *Stickiness { return &c.Stickiness }),
	of("stick_ttl", "`TIME` that a client sticks to its node, from its first flow", span(StickTTLSpan), func(c *Config) *time.Duration { return &c.StickTTL }),
	of("stick_refresh", "`WHETHER` that time begins anew with each new flow", flag(), func(c *Config) *bool { return &c.StickRefresh }),
	only[Config]("forwarding", "`HOW` packets reach the nodes", "nat"),
	of("on_no_backend", "`WHAT` happens to a new flow while no node takes any", word(OnNoBackends), func(c *Config) *OnNoBackend { return &c.OnNoBackend }),
	of("on_down", "`WHAT` happens to the TCP connections of a node that goes DOWN", word(OnDowns), func(c *Config) *OnDown { return &c.OnDown }),
	of("min_eligible", "`N` primaries, or N% of their weight, below which the backups serve", minEligible(), func(c *Config) *MinEligible { return &c.MinEligible }),
	of("failback_delay", "`TIME` for which they must be enough before they serve again", span(FailbackDelaySpan), func(c *Config) *time.Duration { return &c.FailbackDelay }),
	of("slow_start", "`TIME` in which a node that has recovered gets its whole share", span(SlowStartSpan), func(c *Config) *time.Duration { return &c.SlowStart }),
	of("tcp_idle", "`TIME` without a packet after which a connection is forgotten", span(TCPIdleSpan), func(c *Config) *time.Duration { return &c.TCPIdle }),
	of("udp_idle", "`TIME` without a datagram after which a session ends", span(UDPIdleSpan), func(c *Config) *time.Duration { return &c.UDPIdle }),
	of("drain_deadline", "`TIME` after which the flows of a node in mode drain end", deadline(), func(c *Config) *time.Duration { return &c.DrainDeadline }),
	of("reject_deadline", "`TIME` after which the flows of a node in mode reject end", deadline(), func(c *Config) *time.Duration { return &c.RejectDeadline }),
	of("remove_deadline", "`TIME` after which the flows of a removed node end", span(DeadlineSpan), func(c *Config) *time.Duration { return &c.RemoveDeadline }),
}

// NodeFields are the keys of a node.
var NodeFields = []Field[Node]{
	of("label", "`LABEL`, its name: letters, digits, -, _ and .", name(label(".")), func(n *Node) *string { return &n.Label }),
	of("address", "`IP:PORT` where it serves", name(endpoint()), func(n *Node) *netip.AddrPort { return &n.Address }),
	of("weight", "`N`: its share of new flows beside the others'", startingAt(number[int](WeightLimit), DefaultWeight), func(n *Node) *int { return &n.Weight }),
	of("mode", "`MODE`", word(Modes), func(n *Node) *Mode { return &n.Mode }),
	of("override", "`HEALTH` that holds whatever the checks find", word(Overrides), func(n *Node) *Override { return &n.Override }),
	of("max_conns", "`N` active flows at most; 0: any number", number[int](MaxConnsLimit), func(n *Node) *int { return &n.MaxConns }),
}

// minEligible is a number of nodes, or a part of their weight.
func minEligible() kind[MinEligible] {
	return kind[MinEligible]{
		form: Part, must: minEligibleMust,
		parse: ParseMinEligible, text: MinEligible.String, judge: MinEligible.reason,
	}
}

// label is the name of a balancer or a node; more says which letters are allowed beside the usual ones.
func label(more string) kind[string] {
	return kind[string]{
		form: Text, must: "a text", spoiled: "?",
		parse: func(s string) (string, error) { return s, nil },
		text:  func(s string) string { return s },
		judge: func(s string) string { return labelReason(s, more) },
	}
}

// stickiness is any that there is. Which of them a protocol has is for Validate to say.
func stickiness() kind[Stickiness] {
	all := StickinessesOf(TCP)
	for _, s := range StickinessesOf(UDP) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	k := word(all)
	k.judge = func(s Stickiness) string {
		if s == "http_cookie" {
			return `"http_cookie" needs a proxy that reads HTTP, and connections pass through here as they are: use table`
		}
		return WordReason(s, all)
	}
	return k
}

// vip is a virtual address of one family.
func vip(is func(netip.Addr) bool, family string, unspecified netip.Addr) kind[netip.Addr] {
	return kind[netip.Addr]{
		form: Text, must: "a text",
		// It is at fault, but says that the family is there; or else each node of that family would be blamed, too.
		spoiled: unspecified,
		parse: func(s string) (netip.Addr, error) {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return a, fmt.Errorf("%q is not an IP address", s)
			}
			return a, nil
		},
		text: netip.Addr.String,
		judge: func(a netip.Addr) string {
			if reason := AddressReason(a); reason != "" {
				return reason
			}
			if !is(a) {
				return fmt.Sprintf("%s is not an %s address", a, family)
			}
			return ""
		},
	}
}

// endpoint is the address and port of a node.
func endpoint() kind[netip.AddrPort] {
	return kind[netip.AddrPort]{
		form: Endpoint, must: "a text",
		parse: ParseNodeAddress,
		text:  netip.AddrPort.String,
		judge: func(ap netip.AddrPort) string {
			if reason := AddressReason(ap.Addr()); reason != "" {
				return reason
			}
			if reason := PortLimit.Reason(int64(ap.Port())); reason != "" {
				return "the port " + reason
			}
			return ""
		},
	}
}
