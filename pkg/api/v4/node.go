package v4

import (
	"github.com/headgate/headgate/pkg/lb"
)

// node is a node of a config.
type node struct {
	*lb.Node
	config, balancer int // ids
	protocol         lb.Protocol
	// health and flows are looked up when they are shown.
	health func() lb.Health
	counts func() (flows, stickEntries uint64)
}

func ofNode(n *node) *lb.Node { return n.Node }

// nodeProperties are those of a node, in the order of an answer.
var nodeProperties = extensions([]property[node]{
	{key: "id", what: "given once, never again to another", shape: shape{kind: "integer"}, access: readOnly,
		show: func(n *node) any { return n.ID }},
	{key: "config_id", what: "of its config", shape: shape{kind: "integer"}, access: readOnly,
		show: func(n *node) any { return n.config }},
	{key: "nodebalancer_id", what: "of its balancer", shape: shape{kind: "integer"}, access: readOnly,
		show: func(n *node) any { return n.balancer }},
	{key: "address", what: "IP:PORT or [IPV6]:PORT; required", shape: shape{kind: "string"},
		show: func(n *node) any { return n.Address.String() }, take: takeAddress},
	declared(lb.NodeFields, "label", "name for people, not unique; required", ofNode),
	declared(lb.NodeFields, "weight", "share of new flows beside the others'", ofNode),
	{key: "mode", what: "accept takes new flows, reject and drain let flows end, backup waits for the others to fail",
		shape: shape{kind: "string", words: modes}, show: func(n *node) any { return string(n.Mode) }, take: takeMode},
	{key: "status", what: "health as checks find it", shape: shape{kind: "string", words: []string{"Unknown", "UP", "DOWN"}}, access: readOnly,
		show: func(n *node) any { return string(n.health()) }},
	constant[node]("vpc_config_id", "always null", shape{kind: "integer", nullable: true}, nil),
	{key: "flows", what: "live flows", shape: shape{kind: "integer"}, access: readOnly,
		show:   func(n *node) any { flows, _ := n.counts(); return flows },
		hidden: func(n *node) bool { flows, _ := n.counts(); return flows == 0 }},
	{key: "stick_entries", what: "clients that come back to this node", shape: shape{kind: "integer"}, access: readOnly,
		show:   func(n *node) any { _, entries := n.counts(); return entries },
		hidden: func(n *node) bool { _, entries := n.counts(); return entries == 0 }},
}, lb.NodeFields, ofNode, standardNode)

var modes = func() (words []string) {
	for _, m := range lb.Modes {
		words = append(words, string(m))
	}
	return words
}()

// standardNode is one with every default, for the extensions.
func standardNode(*lb.Node) *lb.Node {
	n := &lb.Node{Weight: lb.DefaultWeight}
	n.SetDefaults()
	return n
}

func takeAddress(n *node, v value) string {
	s, reason := v.text()
	if reason != "" {
		return reason
	}
	a, err := lb.ParseNodeAddress(s)
	if err != nil {
		return "Must be in address:port format"
	}
	if reason := lb.AddressReason(a.Addr()); reason != "" {
		return reason
	}
	if a.Port() == 0 {
		return "the port " + lb.PortLimit.Reason(0)
	}
	n.Address = a
	return ""
}

// takeMode takes none, which clients send back for nodes of UDP, as no wish.
func takeMode(n *node, v value) string {
	s, reason := v.text()
	switch {
	case reason != "":
		return reason
	case s == "none" && n.protocol == lb.UDP:
		return ""
	}
	if reason := oneOf(s, modes); reason != "" {
		return reason
	}
	n.Mode = lb.Mode(s)
	return ""
}
