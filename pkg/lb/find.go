package lb

import (
	"fmt"
	"net/netip"
	"strings"
)

// FindBalancer returns the balancer with that label, inside balancers (not a copy). When there is none the error
// lists what there is.
func FindBalancer(balancers []Balancer, label string) (*Balancer, error) {
	labels := make([]string, len(balancers))
	for i := range balancers {
		if balancers[i].Label == label {
			return &balancers[i], nil
		}
		labels[i] = balancers[i].Label
	}
	return nil, fmt.Errorf("%s: no such balancer (have: %s)", label, some(labels))
}

// FindConfig returns the config with that port and protocol, inside b (not a copy). When there is none the error
// lists what there is.
func (b *Balancer) FindConfig(port uint16, protocol Protocol) (*Config, error) {
	key := ConfigKey{b.Label, port, protocol}
	names := make([]string, len(b.Configs))
	for i := range b.Configs {
		c := &b.Configs[i]
		if c.Key(b.Label) == key {
			return c, nil
		}
		names[i] = c.Key(b.Label).String()
	}
	return nil, fmt.Errorf("%s: no such config (have: %s)", key, some(names))
}

// FindNode returns the node that name stands for, a label or an address, inside c (not a copy); key is that of c.
// Labels need not be unique in a config: the error for an ambiguous one lists the addresses.
func (c *Config) FindNode(key ConfigKey, name string) (*Node, error) {
	address, _ := netip.ParseAddrPort(name)
	var found *Node
	var addresses []string
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if n.Address.IsValid() && n.Address == address {
			return n, nil
		}
		if n.Label == name {
			found = n
			addresses = append(addresses, n.Address.String())
		}
	}
	switch len(addresses) {
	case 0:
		return nil, fmt.Errorf("%s: no such node (have: %s)", NodeName(key, name), some(distinct(c.Nodes)))
	case 1:
		return found, nil
	}
	return nil, fmt.Errorf("%s: %d nodes have this label: name one by its address, as in %s/%s (have: %s)",
		NodeName(key, name), len(addresses), key, addresses[0], some(addresses))
}

// distinct gives each node's label, with its address where others have the same.
func distinct(nodes []Node) []string {
	times := make(map[string]int, len(nodes))
	for i := range nodes {
		times[nodes[i].Label]++
	}
	names := make([]string, len(nodes))
	for i := range nodes {
		names[i] = nodes[i].Label
		if times[names[i]] > 1 {
			names[i] += " (" + nodes[i].Address.String() + ")"
		}
	}
	return names
}

// some lists names, but only as many as fit a line.
func some(names []string) string {
	const most = 8
	if len(names) == 0 {
		return "none"
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
