package v4

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// balancer is a balancer with its note, on this site.
type balancer struct {
	*lb.Balancer
	note *store.Note
	site *Site
	// transfer is what went through this month, in MB (10^6 bytes), client to node and back.
	in, out float64
}

// Types are the plans that clients may ask for; they make no difference.
var types = []string{"common", "premium", "premium_40gb"}

// balancerProperties are those of a balancer, in the order of an answer. The VIPs are given by placeBalancer.
var balancerProperties = extensions([]property[balancer]{
	{key: "id", what: "given once, never again to another", shape: shape{kind: "integer"}, access: readOnly,
		show: func(b *balancer) any { return b.ID }},
	declared(lb.BalancerFields, "label", "name, unique; balancer and the id when left out", ofBalancer),
	{key: "region", what: "the region of this host; required", shape: shape{kind: "string"}, access: createOnly,
		show: func(b *balancer) any { return b.site.Region }, take: takeRegion},
	{key: "type", what: "plan, kept without effect", shape: shape{kind: "string", words: types}, access: createOnly,
		show: func(b *balancer) any { return b.plan() }, take: takeType},
	{key: "hostname", what: "name made of the first VIP and the domain of this host", shape: shape{kind: "string"}, access: readOnly,
		show: func(b *balancer) any { return b.hostname() }},
	{key: "ipv4", what: "VIP, of the pool of this host; the next free one when left out", shape: shape{kind: "string", nullable: true}, access: createOnly,
		show: func(b *balancer) any { return address(b.IPv4) }},
	{key: "ipv6", what: "VIP, of the pool of this host; the next free one when left out", shape: shape{kind: "string", nullable: true}, access: createOnly,
		show: func(b *balancer) any { return address(b.IPv6) }},
	declared(lb.BalancerFields, "client_conn_throttle", "new TCP connections a second and client address; 0: any number", ofBalancer),
	declared(lb.BalancerFields, "client_udp_sess_throttle", "new UDP sessions a second and client address; 0: any number", ofBalancer),
	{key: "tags", what: "words for people to sort by", shape: shape{kind: "array"},
		show: func(b *balancer) any { return append([]string{}, b.Tags...) }, take: takeTags},
	{key: "transfer", what: "MB (10^6 bytes) of this month", shape: shape{kind: "object"}, access: readOnly,
		show: func(b *balancer) any {
			return members{{"in", b.in}, {"out", b.out}, {"total", math.Round((b.in+b.out)*1e6) / 1e6}}
		}},
	constant[balancer]("lke_cluster", "always null", shape{kind: "object", nullable: true}, nil),
	constant[balancer]("locks", "always empty", shape{kind: "array"}, []string{}),
	{key: "created", what: "UTC", shape: shape{kind: "string"}, access: readOnly, show: func(b *balancer) any { return date(b.note.Created) }},
	{key: "updated", what: "UTC, with its configs and nodes", shape: shape{kind: "string"}, access: readOnly,
		show: func(b *balancer) any { return date(b.note.Updated) }},
}, lb.BalancerFields, ofBalancer, standardBalancer)

func ofBalancer(b *balancer) *lb.Balancer { return b.Balancer }

// standardBalancer is one with every default.
func standardBalancer(*lb.Balancer) *lb.Balancer {
	b := &lb.Balancer{}
	b.SetDefaults()
	return b
}

func (b *balancer) plan() string {
	if b.note.Type == "" {
		return types[0]
	}
	return b.note.Type
}

// hostname is never null: some balancers have one address, all have a name.
func (b *balancer) hostname() string {
	vip := b.IPv4
	if !vip.IsValid() {
		vip = b.IPv6
	}
	return strings.NewReplacer(".", "-", ":", "-").Replace(vip.String()) + "." + b.site.Domain
}

// address is null where there is none.
func address(a netip.Addr) any {
	if !a.IsValid() {
		return nil
	}
	return a.String()
}

func takeRegion(b *balancer, v value) string {
	s, reason := v.text()
	switch {
	case v.isNothing():
		return "region is required"
	case reason == "" && s != b.site.Region:
		return "region is not valid"
	}
	return reason
}

func takeType(b *balancer, v value) string {
	s, reason := v.text()
	if v.isNull() || reason == "" && s == "" {
		return "" // the default
	}
	if reason == "" {
		reason = oneOf(s, types)
	}
	if reason == "" && s != types[0] {
		b.note.Type = s
	}
	return reason
}

func takeTags(b *balancer, v value) string {
	tags, reason := v.words()
	if reason == "" {
		b.Tags = tags
	}
	return reason
}

// changeBalancer takes what a request changes of a balancer.
func changeBalancer(b *balancer, o *object, d *store.Draft) {
	for _, key := range []string{"configs"} { // they have paths of their own
		if v, given := o.take(key); given && !v.isNothing() {
			o.fault(key, "cannot be changed with the balancer: use its own path")
		}
	}
	update(balancerProperties, o, b)
	b.checkLabel(o, d)
}

// checkLabel refuses a label that another balancer has.
func (b *balancer) checkLabel(o *object, d *store.Draft) {
	for _, other := range d.Balancers() {
		if other.ID != b.ID && other.Label == b.Label && !o.faults.has(o.field("label")) {
			o.fault("label", "%q is the label of another balancer already", b.Label)
		}
	}
}

// placeBalancer takes a new balancer from a request, with all that it holds.
func placeBalancer(b *balancer, o *object, d *store.Draft) {
	giveVIPs(b, o, d)
	if _, given := o.values["region"]; !given {
		o.fault("region", "region is required")
	}
	if _, given := o.values["label"]; !given {
		b.Label = fmt.Sprintf("balancer%d", b.ID)
	}
	configs, _ := o.list("configs")
	create(balancerProperties, o, b)
	b.checkLabel(o, d)
	for _, inner := range configs {
		addConfig(b, inner, d)
	}
}
