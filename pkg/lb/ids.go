package lb

import (
	"strconv"
	"strings"
)

// Ids tell what has an id. Each gives the name of what has that one, or false.
type Ids interface {
	Labelled(label string) bool // that a balancer has this label
	BalancerName(id int) (string, bool)
	ConfigName(id int) (string, bool)
	NodeName(id int) (string, bool) // with the address in place of the label, which others may have, too
}

// NamedBalancer turns an id into the label of the balancer that has it. A label that looks like an id is a label.
// What is neither is returned as it is, here and in the others: who looks it up says so.
func NamedBalancer(ids Ids, name string) string {
	id, ok := idOf(name)
	if !ok || ids.Labelled(name) {
		return name
	}
	if label, known := ids.BalancerName(id); known {
		return label
	}
	return name
}

// NamedConfig turns the id of a config, or of its balancer as in 7/80, into its name.
func NamedConfig(ids Ids, name string) string {
	if id, ok := idOf(name); ok {
		if config, known := ids.ConfigName(id); known {
			return config
		}
		return name
	}
	return NamedWithin(ids, name)
}

// NamedNode turns the id of a node, or of its balancer as in 7/80/web-1, into its name.
func NamedNode(ids Ids, name string) string {
	if id, ok := idOf(name); ok {
		if node, known := ids.NodeName(id); known {
			return node
		}
		return name
	}
	return NamedWithin(ids, name)
}

// NamedWithin turns the id of the balancer that a name begins with, as in 7/80, into its label.
func NamedWithin(ids Ids, name string) string {
	if balancer, rest, more := strings.Cut(name, "/"); more {
		return NamedBalancer(ids, balancer) + "/" + rest
	}
	return name
}

// BeginsWithID says that a name, or the balancer that it begins with, looks like an id.
func BeginsWithID(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	_, ok := idOf(first)
	return ok
}

// idOf reads what looks like an id.
func idOf(name string) (int, bool) {
	id, err := strconv.Atoi(name)
	return id, err == nil && id > 0 && strconv.Itoa(id) == name
}

// Declared are balancers by their ids.
type Declared []Balancer

// Labelled implements Ids.
func (d Declared) Labelled(label string) bool {
	for i := range d {
		if d[i].Label == label {
			return true
		}
	}
	return false
}

// BalancerName implements Ids.
func (d Declared) BalancerName(id int) (string, bool) {
	for i := range d {
		if d[i].ID == id {
			return d[i].Label, true
		}
	}
	return "", false
}

// ConfigName implements Ids.
func (d Declared) ConfigName(id int) (string, bool) {
	for i := range d {
		for j := range d[i].Configs {
			if c := &d[i].Configs[j]; c.ID == id {
				return c.Key(d[i].Label).String(), true
			}
		}
	}
	return "", false
}

// NodeName implements Ids.
func (d Declared) NodeName(id int) (string, bool) {
	for i := range d {
		for j := range d[i].Configs {
			c := &d[i].Configs[j]
			for k := range c.Nodes {
				if n := &c.Nodes[k]; n.ID == id {
					return NodeKey{Config: c.Key(d[i].Label), Address: n.Address}.String(), true
				}
			}
		}
	}
	return "", false
}
