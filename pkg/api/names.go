package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/lb"
)

// maxNamed bounds how many known names an error lists.
const maxNamed = 12

// Nodes are the nodes of all configs.
func (s *Status) Nodes() []Node {
	nodes := []Node{}
	for _, c := range s.Configs {
		nodes = append(nodes, c.Nodes...)
	}
	return nodes
}

// FindNode finds a node among these by name: BALANCER/PORT[/udp]/NODE, where NODE is a label or an address. The
// error is an Error that lists the names there are, or the addresses when a label is ambiguous.
func FindNode(nodes []Node, name string) (Node, error) {
	key, label, err := lb.ParseNodeName(name)
	if err != nil {
		return Node{}, BadRequest("node", "%v", err)
	}
	want := lb.NodeName(key, label)
	var found []Node
	for _, n := range nodes {
		if n.Name == want || n.Config+"/"+n.Address == want {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 0:
		return Node{}, NotFound("%s: no such node (have: %s)", name, some(listed(nodes)))
	case 1:
		return found[0], nil
	}
	var addresses []string
	for _, n := range found {
		// A node that was removed and came back is named twice until its last flows end.
		if n.Lifecycle == Present && !slices.ContainsFunc(found, func(o Node) bool {
			return o.Entry != n.Entry && o.Lifecycle == Present
		}) {
			return n, nil
		}
		addresses = append(addresses, n.Config+"/"+n.Address)
	}
	return Node{}, refuse(http.StatusBadRequest, "node", "%s: several nodes have this label: name one by its address (have: %s)",
		name, some(addresses))
}

// listed gives each node's name, with its address where nodes at others have the same.
func listed(nodes []Node) []string {
	ambiguous := Ambiguous(nodes)
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
		if ambiguous[n.Name] {
			names[i] += " (" + n.Address + ")"
		}
	}
	return names
}

// Ambiguous holds the names that nodes at different addresses have.
func Ambiguous(nodes []Node) map[string]bool {
	first, ambiguous := map[string]string{}, map[string]bool{} // name → address
	for _, n := range nodes {
		if address, seen := first[n.Name]; !seen {
			first[n.Name] = n.Address
		} else if address != n.Address {
			ambiguous[n.Name] = true
		}
	}
	return ambiguous
}

// FindConfig finds a config by name. The error lists the names there are.
func FindConfig(configs []Config, name string) (Config, error) {
	key, err := lb.ParseConfigKey(name)
	if err != nil {
		return Config{}, BadRequest("config", "%v", err)
	}
	var known []string
	for _, c := range configs {
		if c.Name == key.String() {
			return c, nil
		}
		known = append(known, c.Name)
	}
	return Config{}, NotFound("%s: no such config (have: %s)", name, some(known))
}

// some joins names, and counts those that would be too many for a line.
func some(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}
