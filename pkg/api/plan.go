package api

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/headgate/headgate/pkg/lb"
)

// Plan is what changes from one desired state to another, in the order of the names.
type Plan struct {
	Steps []Step       `json:"steps"`
	Moves []ConfigMove `json:"moves"`
	Flows []NodeFlows  `json:"flows"` // that are there now; only with a daemon that counts them
}

// Step is one thing added, changed or removed.
type Step struct {
	Action  string   `json:"action"` // add, change or remove
	Kind    Kind     `json:"kind"`
	Name    string   `json:"name"`
	Changes []string `json:"changes,omitempty"` // for a change: "weight: 50 → 100"; else what it is
}

// Actions of a Step.
const (
	Add    = "add"
	Change = "change"
	Remove = "remove"
)

// ConfigMove is the share of the clients of a config whose next connection would be for another node, or
// for none. Nodes that are found DOWN are not counted on, all others are taken to be healthy. Where the client's address
// chooses, those clients are counted; else it is half the sum of the differences of the nodes' shares. Established
// connections stay where they are.
type ConfigMove struct {
	Config string  `json:"config"`
	Share  float64 `json:"share"` // 0 to 1
	Down   int     `json:"down"`  // nodes that it has now, and keeps, which are found DOWN
	// ByClient says that the client's address chooses the node: then the share is of clients, else of new connections.
	ByClient bool `json:"by_client"`
	// Refused says that no node is left for new connections of a family: they are refused, until health or people
	// bring one back.
	Refused bool `json:"refused"`
	// Unserved are the VIPs at which no config takes its new connections any more, as it or the VIP goes: they are left
	// to the kernel.
	Unserved []string `json:"unserved,omitempty"`
}

// Down says whether a node, by its name before the change, is found DOWN at this moment.
type Down func(lb.NodeKey) bool

// Diff plans the way from one desired state to another, all nodes taken to be healthy.
func Diff(from, to []lb.Balancer) Plan {
	return diff(from, to, func(lb.NodeKey) bool { return false })
}

// Steps is Diff without a look at who would move, which with thousands of nodes takes longer than to change them.
func Steps(from, to []lb.Balancer) Plan { return diff(from, to, nil) }

// planner makes a plan.
type planner struct {
	Plan
	down   Down                // nil: moves are not looked for
	behind map[door]*lb.Config // after the change
}

// door is where clients come in.
type door struct {
	vip      netip.Addr
	port     uint16
	protocol lb.Protocol
}

// doors are all that there are, with the config behind each.
func doors(balancers []lb.Balancer) map[door]*lb.Config {
	all := map[door]*lb.Config{}
	for i := range balancers {
		b := &balancers[i]
		for j := range b.Configs {
			for _, vip := range b.VIPs() {
				all[door{vip, b.Configs[j].Port, b.Configs[j].Protocol}] = &b.Configs[j]
			}
		}
	}
	return all
}

func diff(from, to []lb.Balancer, down Down) Plan {
	p := planner{Plan: Plan{Steps: []Step{}, Moves: []ConfigMove{}, Flows: []NodeFlows{}}, down: down}
	if down != nil {
		p.behind = doors(to)
	}
	for _, pair := range match(from, to, byIdentity(from)) {
		p.balancer(pair.key, pair.from, pair.to)
	}
	return p.Plan
}

// byIdentity gives the label that a balancer had before, if it has an id to know it by, else the one that it has.
func byIdentity(from []lb.Balancer) func(lb.Balancer) string {
	was := make(map[int]string, len(from))
	for i := range from {
		was[from[i].ID] = from[i].Label
	}
	return func(b lb.Balancer) string {
		if label, known := was[b.ID]; known && b.ID != 0 {
			return label
		}
		return b.Label
	}
}

// Empty says that nothing changes.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

func (p *planner) step(action string, kind Kind, name string, changes ...string) {
	p.Steps = append(p.Steps, Step{Action: action, Kind: kind, Name: name, Changes: changes})
}

func (p *planner) balancer(label string, from, to *lb.Balancer) {
	switch {
	case from == nil:
		p.step(Add, KindBalancer, label, fmt.Sprintf("VIPs %s", vips(*to)))
		from = &lb.Balancer{}
	case to == nil:
		p.step(Remove, KindBalancer, label)
		to = &lb.Balancer{}
	default:
		differ := changes(from, to, lb.BalancerFields)
		if a, b := strings.Join(from.Tags, ", "), strings.Join(to.Tags, ", "); a != b {
			differ = append(differ, fmt.Sprintf("tags: %s → %s", cmp.Or(a, "none"), cmp.Or(b, "none")))
		}
		p.changed(KindBalancer, label, differ)
	}
	key := func(c lb.Config) string { return c.Key(label).String() }
	for _, pair := range match(from.Configs, to.Configs, key) {
		p.config(pair.key, pair.from, pair.to)
		if pair.from != nil && p.down != nil {
			p.move(pair.key, pair.from.Key(label), from.VIPs(), pair.from, pair.to)
		}
	}
}

func (p *planner) config(name string, from, to *lb.Config) {
	switch {
	case from == nil:
		p.step(Add, KindConfig, name)
		from = &lb.Config{}
	case to == nil:
		p.step(Remove, KindConfig, name)
		to = &lb.Config{}
	default:
		p.changed(KindConfig, name, changes(from, to, lb.ConfigFields))
	}
	was, is := differing(from.Nodes, to.Nodes)
	labels := sync.OnceValue(func() map[string]int { return labelled(to.Nodes) })
	for _, pair := range match(was, is, func(n lb.Node) netip.AddrPort { return n.Address }) {
		p.node(name, labels, pair.from, pair.to)
	}
}

// move says who moves from a config, known as key and reached at vips, to another; nil: to the one that takes over
// there, if there is one.
func (p *planner) move(name string, key lb.ConfigKey, vips []netip.Addr, from, to *lb.Config) {
	var gone []netip.Addr
	for _, vip := range vips {
		next := p.behind[door{vip, from.Port, from.Protocol}]
		if next == nil {
			gone = append(gone, vip)
		}
		to = cmp.Or(to, next)
	}
	to = cmp.Or(to, &lb.Config{})
	down := func(n *lb.Node) bool { return p.down(lb.NodeKey{Config: key, Address: n.Address}) }
	m := moved(from, to, gone, down)
	if m.Share == 0 {
		return
	}
	m.Config = name
	for i := range to.Nodes {
		if down(&to.Nodes[i]) {
			m.Down++
		}
	}
	p.Moves = append(p.Moves, m)
}

// differing leaves out what two lists begin and end with alike: of thousands of nodes mostly one differs.
func differing(from, to []lb.Node) (was, is []lb.Node) {
	for len(from) > 0 && len(to) > 0 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	for len(from) > 0 && len(to) > 0 && from[len(from)-1] == to[len(to)-1] {
		from, to = from[:len(from)-1], to[:len(to)-1]
	}
	return from, to
}

// labelled counts the nodes that have each label.
func labelled(nodes []lb.Node) map[string]int {
	labels := make(map[string]int, len(nodes))
	for i := range nodes {
		labels[nodes[i].Label]++
	}
	return labels
}

func (p *planner) node(config string, labels func() map[string]int, from, to *lb.Node) {
	switch {
	case from == nil:
		what := fmt.Sprintf("%s, weight %d, mode %s", to.Address, to.Weight, to.Mode)
		if to.Override != lb.OverrideNone {
			what += fmt.Sprintf(", override %s", to.Override)
		}
		p.step(Add, KindNode, config+"/"+to.Label, what)
	case to == nil:
		p.step(Remove, KindNode, config+"/"+from.Label, from.Address.String())
	default:
		differ, name := changes(from, to, lb.NodeFields), to.Label
		if len(differ) > 0 && labels()[name] > 1 {
			name = to.Address.String()
		}
		p.changed(KindNode, config+"/"+name, differ)
	}
}

func (p *planner) changed(kind Kind, name string, changes []string) {
	if len(changes) > 0 {
		p.step(Change, kind, name, changes...)
	}
}

// changes says in words which fields differ.
func changes[T any](from, to *T, table []lb.Field[T]) (out []string) {
	for i := range table {
		f := &table[i]
		if a, b := f.Get(from), f.Get(to); a != b {
			out = append(out, fmt.Sprintf("%s: %s → %s", f.Key, cmp.Or(a, "none"), cmp.Or(b, "none")))
		}
	}
	return out
}

func vips(b lb.Balancer) string {
	switch {
	case !b.IPv6.IsValid():
		return b.IPv4.String()
	case !b.IPv4.IsValid():
		return b.IPv6.String()
	}
	return b.IPv4.String() + " " + b.IPv6.String()
}

// pair is a thing before and after; one of both may be missing.
type pair[T any, K comparable] struct {
	key      K
	from, to *T
}

// match pairs things by key, in the order of from, then what is only in to.
func match[T any, K comparable](from, to []T, key func(T) K) []pair[T, K] {
	pairs, at := make([]pair[T, K], 0, len(from)), make(map[K]int, len(from))
	for i := range from {
		k := key(from[i])
		at[k] = len(pairs)
		pairs = append(pairs, pair[T, K]{key: k, from: &from[i]})
	}
	for i := range to {
		k := key(to[i])
		if j, ok := at[k]; ok {
			pairs[j].to = &to[i]
			continue
		}
		pairs = append(pairs, pair[T, K]{key: k, to: &to[i]})
	}
	return pairs
}
