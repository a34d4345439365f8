package v4

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// addConfig takes a new config of b from a request, with its nodes, and returns its id.
func addConfig(b *balancer, o *object, d *store.Draft) int {
	b.Configs = append(b.Configs, lb.Config{ID: d.NewID(), Port: defaultPort})
	c := &b.Configs[len(b.Configs)-1]
	it := &config{Config: c, balancer: b.ID, note: store.ConfigNote{HTTP: true}}
	// The other defaults depend on it.
	if v, given := o.take("protocol"); given {
		if reason := takeProtocol(it, v); reason != "" {
			o.fault("protocol", "%s", reason)
		}
	}
	c.SetDefaults()
	nodes, _ := o.list("nodes")
	create(configProperties, o, it)
	b.checkConfig(it, o)
	for _, inner := range nodes {
		addNode(c, inner, d)
	}
	b.note.SetConfig(c.ID, it.note)
	return c.ID
}

// changeConfig takes what a request changes of a config of b, but for its nodes.
func changeConfig(b *balancer, c *lb.Config, o *object) {
	it := &config{Config: c, balancer: b.ID, note: b.note.Configs[c.ID], status: func() (int, int) { return 0, 0 }}
	update(configProperties, o, it)
	b.checkConfig(it, o)
	b.note.SetConfig(c.ID, it.note)
}

// checkConfig refuses what cannot stand together in a config, or beside the others of b.
func (b *balancer) checkConfig(c *config, o *object) {
	if c.Check.Timeout >= c.Check.Interval && !o.faults.has(o.field("check_timeout")) {
		o.fault("check_interval", "must be more than check_timeout (%v s), not %v", seconds(c.Check.Timeout), seconds(c.Check.Interval))
	}
	for i := range b.Configs {
		other := &b.Configs[i]
		if other.ID != c.ID && other.Port == c.Port && other.Protocol == c.Protocol && !o.faults.has(o.field("port")) {
			o.fault("port", "%d is the port of another %s config of this balancer already", c.Port, c.Protocol)
		}
	}
}

// addNode takes a new node of c from a request, and returns its id.
func addNode(c *lb.Config, o *object, d *store.Draft) int {
	n := *standardNode(nil)
	n.ID = d.NewID()
	for _, key := range []string{"address", "label"} {
		if _, given := o.values[key]; !given {
			o.fault(key, "%s is required", key)
		}
	}
	create(nodeProperties, o, &node{Node: &n, protocol: c.Protocol})
	checkAddress(c, &n, o)
	c.Nodes = append(c.Nodes, n)
	return n.ID
}

// changeNode takes what a request changes of a node of c.
func changeNode(c *lb.Config, n *lb.Node, o *object) {
	update(nodeProperties, o, &node{Node: n, protocol: c.Protocol,
		health: func() lb.Health { return lb.Unknown }, counts: func() (uint64, uint64) { return 0, 0 }})
	checkAddress(c, n, o)
}

// checkAddress refuses a node whose address another one of c has.
func checkAddress(c *lb.Config, n *lb.Node, o *object) {
	twice := func(other lb.Node) bool { return other.ID != n.ID && other.Address == n.Address }
	if n.Address.IsValid() && slices.ContainsFunc(c.Nodes, twice) {
		o.fault("address", "%s is the address of another node of this config already", n.Address)
	}
}

// rebuild takes the whole list of a config's nodes from a request: one with the id of a node changes that, one
// without is new, and those that are not named go.
func rebuild(c *lb.Config, list []*object, d *store.Draft) {
	old := c.Nodes
	c.Nodes = nil
	for _, o := range list {
		if v, given := o.take("id"); given && !v.isNothing() {
			keepNode(c, old, v, o)
		} else {
			addNode(c, o, d)
		}
	}
}

// keepNode takes a node over from old and changes it.
func keepNode(c *lb.Config, old []lb.Node, v value, o *object) {
	id, reason := v.integer(lb.Limit{Min: 1, Max: 1<<53 - 1})
	has := func(n lb.Node) bool { return n.ID == id }
	refuse := func(format string, args ...any) {
		o.fault("id", format, args...)
		o.faults.shifted = true
	}
	i := slices.IndexFunc(old, has)
	switch {
	case reason != "":
		refuse("must be the id of a node, not %s", v.kind())
	case i < 0:
		refuse("%d is no node of this config: leave it out to make a new one", id)
	case slices.ContainsFunc(c.Nodes, has):
		refuse("%d is named twice", id)
	default:
		n := old[i]
		changeNode(c, &n, o)
		c.Nodes = append(c.Nodes, n)
	}
}

// blame turns what the vocabulary finds wrong with a draft into faults of the request, unless they are known.
// Those inside the thing at place are the request's own; those elsewhere come from it all the same.
func blame(found lb.Faults, place string, o *object, balancers []lb.Balancer) {
	first := len(o.faults.list) == 0
	for _, f := range found {
		key, own := strings.CutPrefix(f.Path, place+".")
		field := o.field(key)
		switch {
		case f.Path == place && first:
			o.faults.add(o.path, "%s", f.Reason)
		case !own && first:
			o.faults.add("", "%s: %s", nameOf(f.Path, balancers), f.Reason)
		case !own || o.faults.has(field) || o.faults.has(strings.Replace(field, "check_timeout", "check_interval", 1)):
		default:
			o.faults.add(field, "%s", f.Reason)
		}
	}
}

// nameOf names the balancer of a path by its label.
func nameOf(path string, balancers []lb.Balancer) string {
	var i int
	if _, err := fmt.Sscanf(path, "balancers[%d]", &i); err != nil || i < 0 || i >= len(balancers) {
		return path
	}
	return "balancer " + balancers[i].Label + strings.TrimPrefix(path, fmt.Sprintf("balancers[%d]", i))
}
