package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Validate says all that is wrong with the balancers, in their order; nil when nothing is. It expects
// defaults to be set. Where a field is wrong in itself, no fault that only follows from it is added.
func Validate(balancers []Balancer) []Fault {
	return ValidateChanged(balancers, func(int) *Balancer { return nil })
}

// ValidateChanged is Validate for balancers of which those were valid together that were there before. was says
// what the one at a place was: itself when it did not change, nil when it was not there. Of what did not change it
// looks only at what the others may not share with it. Where two have what each needs its own of, the one that had
// it before keeps it, and the other is at fault.
func ValidateChanged(balancers []Balancer, was func(i int) *Balancer) []Fault {
	v := validator{labels: make(map[string]int, len(balancers)), vips: make(map[netip.Addr]int, 2*len(balancers)), balancers: balancers}
	v.collect(was)
	for i := range balancers {
		if before := was(i); before != &balancers[i] {
			v.balancer(i, before)
		} else {
			v.kept(i)
		}
	}
	return v.faults
}

type validator struct {
	balancers []Balancer
	labels    map[string]int     // label → balancer whose it is
	vips      map[netip.Addr]int // VIP → balancer whose it is
	freshVIPs []netip.Addr       // that their balancers did not have before
	faults    []Fault
}

// add records a fault unless reason is empty.
func (v *validator) add(path, reason string) {
	if reason != "" {
		v.faults = append(v.faults, Fault{path, reason})
	}
}

// collect notes whose every label and VIP is first, because nodes are compared with the VIPs of all balancers.
func (v *validator) collect(was func(i int) *Balancer) {
	for i := range v.balancers {
		b, before := &v.balancers[i], was(i)
		claim(v.labels, b.Label, i, func() bool { return before != nil && before.Label == b.Label })
		for _, vip := range b.VIPs() {
			if AddressReason(vip) != "" {
				continue
			}
			had := before != nil && (vip == before.IPv4 || vip == before.IPv6)
			claim(v.vips, vip, i, func() bool { return had })
			if !had {
				v.freshVIPs = append(v.freshVIPs, vip)
			}
		}
	}
}

// claim gives what each needs its own of to the one that had it before, else to the first that has it. It returns
// who has no right to it: -1 for nobody.
func claim[K comparable](owners map[K]int, key K, i int, had func() bool) (without int) {
	owner, taken := owners[key]
	switch {
	case !taken:
		owners[key] = i
		return -1
	case had():
		owners[key] = i
		return owner
	}
	return i
}

// kept looks at a balancer that did not change: only what others have become can be wrong with it.
func (v *validator) kept(i int) {
	b := &v.balancers[i]
	v.uniqueLabel(i)
	for _, vip := range b.VIPs() {
		field := "ipv6"
		if vip.Is4() {
			field = "ipv4"
		}
		v.ownVIP(i, field, vip)
	}
	if len(v.freshVIPs) == 0 {
		return
	}
	for j := range b.Configs {
		for k := range b.Configs[j].Nodes {
			if a := b.Configs[j].Nodes[k].Address.Addr(); slices.Contains(v.freshVIPs, a) {
				v.add(fmt.Sprintf("balancers[%d].configs[%d].nodes[%d].address", i, j, k), v.nodeAddressReason(b, a))
			}
		}
	}
}

func (v *validator) uniqueLabel(i int) {
	label := v.balancers[i].Label
	if owner := v.labels[label]; owner != i && label != "" {
		v.add(fmt.Sprintf("balancers[%d].label", i), fmt.Sprintf("%q is already the label of balancers[%d]: each needs its own", label, owner))
	}
}

// balancer looks at one that is new or changed; was is what it was, or nil.
func (v *validator) balancer(i int, was *Balancer) {
	b, path := &v.balancers[i], fmt.Sprintf("balancers[%d]", i)
	judgeFields(v, func() string { return path }, b, BalancerFields)
	v.uniqueLabel(i)
	v.tags(path, b.Tags)
	if !b.IPv4.IsValid() && !b.IPv6.IsValid() {
		v.add(path, "needs a virtual address: set ipv4, ipv6 or both")
	}
	v.ownVIP(i, "ipv4", b.IPv4)
	v.ownVIP(i, "ipv6", b.IPv6)

	if was == nil {
		was = &Balancer{}
	}
	ports := map[ConfigKey]int{}
	for j := range b.Configs {
		c := &b.Configs[j]
		cpath := fmt.Sprintf("%s.configs[%d]", path, j)
		before := was.configWithID(c.ID)
		v.config(cpath, b, c, before)
		key := c.Key(b.Label)
		if k := claim(ports, key, j, func() bool { return before.Key(b.Label) == key }); k >= 0 && c.Port != 0 {
			v.add(fmt.Sprintf("%s.configs[%d].port", path, k),
				fmt.Sprintf("%s %d is already the port of configs[%d]: each needs its own", c.Protocol, c.Port, ports[key]))
		}
	}
}

// judgeFields adds what is wrong with each field in itself. Of ten thousand nodes mostly nothing is: paths are made
// when they are needed.
func judgeFields[T any](v *validator, path func() string, t *T, fields []Field[T]) {
	for i := range fields {
		if reason := fields[i].Reason(t); reason != "" {
			v.add(path()+"."+fields[i].Key, reason)
		}
	}
}

func (v *validator) tags(path string, tags []string) {
	if len(tags) > TagsMost {
		v.add(path+".tags", fmt.Sprintf("there may be at most %d, not %d", TagsMost, len(tags)))
	}
	for i, tag := range tags {
		v.add(fmt.Sprintf("%s.tags[%d]", path, i), tagReason(tag))
	}
}

// tagReason allows every letter of every language, and nothing that would break a line.
func tagReason(tag string) string {
	n := utf8.RuneCountInString(tag)
	switch {
	case n < 1 || n > TagMost:
		return fmt.Sprintf("must have from 1 to %d characters, not %d", TagMost, n)
	case !utf8.ValidString(tag) || strings.ContainsFunc(tag, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Sprintf("%q has characters that cannot be printed", tag)
	}
	return ""
}

// ownVIP refuses a VIP that is another balancer's.
func (v *validator) ownVIP(i int, field string, vip netip.Addr) {
	if owner, known := v.vips[vip]; known && owner != i {
		v.add(fmt.Sprintf("balancers[%d].%s", i, field), fmt.Sprintf("%s is already the VIP of balancers[%d] (%s): each needs its own", vip, owner, v.balancers[owner].Label))
	}
}

// configWithID gives the config with that id, or an empty one.
func (b *Balancer) configWithID(id int) *Config {
	for j := range b.Configs {
		if b.Configs[j].ID == id {
			return &b.Configs[j]
		}
	}
	return &Config{}
}

// had says whether n had its address before, when c was what its config was.
func (c *Config) had(n *Node) bool {
	return slices.ContainsFunc(c.Nodes, func(o Node) bool { return o.ID == n.ID && o.Address == n.Address })
}

func (v *validator) config(path string, b *Balancer, c, was *Config) {
	judgeFields(v, func() string { return path }, c, ConfigFields)
	v.algorithm(path, c)
	v.stickiness(path, c)
	v.check(path, c)
	addresses := make(map[netip.AddrPort]int, len(c.Nodes))
	for k := range c.Nodes {
		n := &c.Nodes[k]
		npath := func() string { return fmt.Sprintf("%s.nodes[%d]", path, k) }
		judgeFields(v, npath, n, NodeFields)
		if other := claim(addresses, n.Address, k, func() bool { return was.had(n) }); other >= 0 && n.Address.IsValid() {
			v.add(fmt.Sprintf("%s.nodes[%d].address", path, other),
				fmt.Sprintf("%s is already the address of nodes[%d]: each needs its own", n.Address, addresses[n.Address]))
			continue
		}
		if reason := v.nodeAddressReason(b, n.Address.Addr()); reason != "" {
			v.add(npath()+".address", reason)
		}
	}
}

// algorithm refuses one that is the other protocol's.
func (v *validator) algorithm(path string, c *Config) {
	if WordReason(c.Algorithm, Algorithms) != "" || WordReason(c.Protocol, Protocols) != "" {
		return
	}
	if reason := WordReason(c.Algorithm, AlgorithmsOf(c.Protocol)); reason != "" {
		v.add(path+".algorithm", fmt.Sprintf("with protocol %s %s", c.Protocol, reason))
	}
}

// stickiness refuses one that is the other protocol's.
func (v *validator) stickiness(path string, c *Config) {
	if stickiness().judge(c.Stickiness) != "" || WordReason(c.Protocol, Protocols) != "" {
		return
	}
	if reason := WordReason(c.Stickiness, StickinessesOf(c.Protocol)); reason != "" {
		v.add(path+".stickiness", fmt.Sprintf("with protocol %s %s", c.Protocol, reason))
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
	"random",        // algorithm
	"http", "https", // protocol
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
