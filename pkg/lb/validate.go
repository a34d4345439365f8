package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Validate says all that is wrong with the balancers, in their order; nil when nothing is. It expects
// defaults to be set. Where a field is wrong in itself, no fault that only follows from it is added.
func Validate(balancers []Balancer) []Fault {
	v := validator{labels: map[string]int{}, vips: map[netip.Addr]int{}, balancers: balancers}
	v.collectVIPs()
	for i := range balancers {
		v.balancer(i)
	}
	return v.faults
}

type validator struct {
	balancers []Balancer
	labels    map[string]int     // label → first balancer that has it
	vips      map[netip.Addr]int // VIP → first balancer that has it
	faults    []Fault
}

// add records a fault unless reason is empty.
func (v *validator) add(path, reason string) {
	if reason != "" {
		v.faults = append(v.faults, Fault{path, reason})
	}
}

// collectVIPs notes every VIP first, because nodes are compared with those of all balancers.
func (v *validator) collectVIPs() {
	for i, b := range v.balancers {
		for _, vip := range []netip.Addr{b.IPv4, b.IPv6} {
			if _, seen := v.vips[vip]; !seen && AddressReason(vip) == "" {
				v.vips[vip] = i
			}
		}
	}
}

func (v *validator) balancer(i int) {
	b, path := &v.balancers[i], fmt.Sprintf("balancers[%d]", i)
	checkFields(v, path, b, BalancerFields)
	if first, seen := v.labels[b.Label]; seen && b.Label != "" {
		v.add(path+".label", fmt.Sprintf("%q is already the label of balancers[%d]: each needs its own", b.Label, first))
	} else {
		v.labels[b.Label] = i
	}
	if !b.IPv4.IsValid() && !b.IPv6.IsValid() {
		v.add(path, "needs a virtual address: set ipv4, ipv6 or both")
	}
	v.ownVIP(path+".ipv4", i, b.IPv4)
	v.ownVIP(path+".ipv6", i, b.IPv6)

	ports := map[ConfigKey]int{}
	for j := range b.Configs {
		c := &b.Configs[j]
		cpath := fmt.Sprintf("%s.configs[%d]", path, j)
		v.config(cpath, b, c)
		key := c.Key(b.Label)
		if first, seen := ports[key]; seen && c.Port != 0 {
			v.add(cpath+".port", fmt.Sprintf("%s %d is already the port of configs[%d]: each needs its own", c.Protocol, c.Port, first))
		} else {
			ports[key] = j
		}
	}
}

// checkFields adds what is wrong with each field in itself.
func checkFields[T any](v *validator, path string, t *T, fields []Field[T]) {
	for i := range fields {
		v.add(path+"."+fields[i].Key, fields[i].Reason(t))
	}
}

// ownVIP refuses a VIP that an earlier balancer has.
func (v *validator) ownVIP(path string, i int, vip netip.Addr) {
	if first, seen := v.vips[vip]; seen && first != i {
		v.add(path, fmt.Sprintf("%s is already the VIP of balancers[%d] (%s): each needs its own", vip, first, v.balancers[first].Label))
	}
}

func (v *validator) config(path string, b *Balancer, c *Config) {
	checkFields(v, path, c, ConfigFields)
	if c.Check.Timeout >= c.Check.Interval && CheckIntervalSpan.Reason(c.Check.Interval) == "" && CheckTimeoutSpan.Reason(c.Check.Timeout) == "" {
		v.add(path+".check_timeout", fmt.Sprintf("must be less than check_interval (%s), not %s",
			FormatDuration(c.Check.Interval), FormatDuration(c.Check.Timeout)))
	}
	addresses := make(map[netip.AddrPort]int, len(c.Nodes))
	for k := range c.Nodes {
		n := &c.Nodes[k]
		npath := fmt.Sprintf("%s.nodes[%d]", path, k)
		checkFields(v, npath, n, NodeFields)
		if first, seen := addresses[n.Address]; seen && n.Address.IsValid() {
			v.add(npath+".address", fmt.Sprintf("%s is already the address of nodes[%d]: each needs its own", n.Address, first))
		} else {
			addresses[n.Address] = k
			v.add(npath+".address", v.nodeAddressReason(b, n.Address.Addr()))
		}
	}
}

// nodeAddressReason says why a cannot be the address of a node of b, though it could be one's elsewhere.
func (v *validator) nodeAddressReason(b *Balancer, a netip.Addr) string {
	if i, isVIP := v.vips[a]; isVIP {
		return fmt.Sprintf("%s is the VIP of balancer %q: its packets would come back here for ever", a, v.balancers[i].Label)
	}
	switch {
	case AddressReason(a) != "":
		return ""
	case a.Is4() && !b.IPv4.IsValid() && b.IPv6.IsValid():
		return fmt.Sprintf("%s is IPv4, but the balancer has no ipv4 VIP: set one, or write an IPv6 address", a)
	case a.Is6() && !b.IPv6.IsValid() && b.IPv4.IsValid():
		return fmt.Sprintf("%s is IPv6, but the balancer has no ipv6 VIP: set one, or write an IPv4 address", a)
	}
	return ""
}

// labelReason checks length and letters; more says which are allowed beside letters, digits, - and _.
func labelReason(label, more string) string {
	if label == "" {
		return "is required"
	}
	if len(label) < LabelMin || len(label) > LabelMax {
		return fmt.Sprintf("must have from %d to %d characters, not %d", LabelMin, LabelMax, len(label))
	}
	for _, r := range label {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_"+more, r):
		default:
			return fmt.Sprintf("%q has %q: only letters, digits and any of %s are allowed", label, r, "-_"+more)
		}
	}
	return ""
}

// notYet are words for what other balancers have and this one may get.
var notYet = []string{
	"leastconn", "source", "ring_hash", "random", // algorithm
	"table", "http_cookie", // stickiness
	"http", "https", "http_body", // check, protocol
	"dsr", "tunnel", // forwarding
}

// WordReason says in words that word is none of allowed, or "" when it is one.
func WordReason[T ~string](word T, allowed []T) string {
	if slices.Contains(allowed, word) {
		return ""
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	if slices.Contains(notYet, string(word)) {
		return fmt.Sprintf("%q is not there yet: only %s", string(word), strings.Join(names, ", "))
	}
	if len(names) == 1 {
		return fmt.Sprintf("must be %s, not %q", names[0], string(word))
	}
	return fmt.Sprintf("must be one of %s, not %q", strings.Join(names, ", "), string(word))
}
