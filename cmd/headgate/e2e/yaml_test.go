package e2e

import (
	"fmt"
	"strings"
	"time"
)

// conf is a config of a balancer, to be written as YAML.
type conf struct {
	port  int
	proto string // empty: tcp
	extra string // further keys, one in a line: "check: connection\ncheck_port: 9090"
	nodes []member
}

// member is a node of a config: node i of the star, from 0, over IPv4 or IPv6.
type member struct {
	i      int
	family int // 0: 4
	port   int
	weight int    // 0: left out
	mode   string // empty: left out
	label  string // empty: nodeLabel
}

// members makes a member of every node over each of the families; weights are in order of the nodes.
func members(nodes, port int, families []int, weights ...int) []member {
	var all []member
	for _, family := range families {
		for i := range nodes {
			m := member{i: i, family: family, port: port}
			if len(weights) > 0 {
				m.weight = weights[i]
			}
			all = append(all, m)
		}
	}
	return all
}

var both = []int{4, 6}

// yaml writes the balancer `web` with both VIPs and these configs.
func (s *site) yaml(configs ...conf) string {
	var b strings.Builder
	fmt.Fprintf(&b, "balancers:\n  - label: web\n    ipv4: %v\n    ipv6: %v\n    configs:\n", s.star.VIP4, s.star.VIP6)
	for _, c := range configs {
		fmt.Fprintf(&b, "      - port: %d\n", c.port)
		if c.proto != "" {
			fmt.Fprintf(&b, "        protocol: %s\n", c.proto)
		}
		for line := range strings.SplitSeq(strings.TrimSpace(c.extra), "\n") {
			if line != "" {
				fmt.Fprintf(&b, "        %s\n", line)
			}
		}
		b.WriteString("        nodes:\n")
		for _, m := range c.nodes {
			b.WriteString("          - " + s.memberYAML(m) + "\n")
		}
	}
	return b.String()
}

func (s *site) memberYAML(m member) string {
	if m.family == 0 {
		m.family = 4
	}
	addr := s.star.NodeAddr(m.i+1, m.family).String()
	if m.family == 6 {
		addr = "[" + addr + "]"
	}
	if m.label == "" {
		m.label = nodeLabel(m.i, m.family)
	}
	fields := fmt.Sprintf("label: %s, address: \"%s:%d\"", m.label, addr, m.port)
	if m.weight != 0 {
		fields += fmt.Sprintf(", weight: %d", m.weight)
	}
	if m.mode != "" {
		fields += ", mode: " + m.mode
	}
	return "{" + fields + "}"
}

// nodeLabel is the label of node i of the star in the file. Labels have at least three characters.
func nodeLabel(i, family int) string {
	if family == 6 {
		return "node6-" + nodeName(i)
	}
	return "node-" + nodeName(i)
}

// quickCheck finds a dead node in a moment. One check may be late on a busy machine without anything being wrong.
const quickCheck = "check: connection\ncheck_interval: 200ms\ncheck_timeout: 150ms\ncheck_attempts: 2\n"

// quickTimeout is how long one of those takes at most.
const quickTimeout = 150 * time.Millisecond
