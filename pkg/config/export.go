package config

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/headgate/headgate/pkg/lb"
)

// Export writes balancers as a file that Parse takes, and that says the same: what has its default is
// left out. It refuses balancers that Parse would not take; the error is lb.Faults.
func Export(balancers []lb.Balancer) ([]byte, error) {
	if faults := lb.Validate(balancers); len(faults) > 0 {
		return nil, fmt.Errorf("export: %w", lb.Faults(faults))
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range balancers {
		list.Content = append(list.Content, exportBalancer(&balancers[i]))
	}
	if len(balancers) == 0 {
		list.Style = yaml.FlowStyle
	}
	root := newMapping()
	root.put("balancers", list)

	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root.Node); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return out.Bytes(), nil
}

func exportBalancer(b *lb.Balancer) *yaml.Node {
	m := newMapping()
	putFields(m, b, &lb.Balancer{}, lb.BalancerFields)
	if len(b.Tags) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, tag := range b.Tags {
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: tag})
		}
		m.put("tags", list)
	}
	if len(b.Configs) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range b.Configs {
			list.Content = append(list.Content, exportConfig(&b.Configs[i]))
		}
		m.put("configs", list)
	}
	return m.Node
}

func exportConfig(c *lb.Config) *yaml.Node {
	m := newMapping()
	putFields(m, c, defaultsBeside(c), lb.ConfigFields)
	if len(c.Nodes) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range c.Nodes {
			list.Content = append(list.Content, exportNode(&c.Nodes[i]))
		}
		m.put("nodes", list)
	}
	return m.Node
}

// defaultsBeside are the defaults of a config of which the file says only what others follow from.
func defaultsBeside(c *lb.Config) *lb.Config {
	def := lb.Config{Protocol: c.Protocol, Check: lb.Check{Interval: c.Check.Interval}}
	def.SetDefaults()
	def.Protocol, def.Check.Interval = lb.Protocols[0], lb.DefaultCheckInterval
	return &def
}

// exportNode writes a node on one line.
func exportNode(n *lb.Node) *yaml.Node {
	m := newMapping()
	m.Style = yaml.FlowStyle
	def := lb.Node{Weight: lb.DefaultWeight}
	def.SetDefaults()
	putFields(m, n, &def, lb.NodeFields)
	return m.Node
}

// putFields writes the fields in which t differs from def.
func putFields[T any](m mappingNode, t, def *T, table []lb.Field[T]) {
	for i := range table {
		f := &table[i]
		if text := f.Get(t); text != f.Get(def) {
			m.put(f.Key, value(f.Form, text))
		}
	}
}

// value is what a reader takes for a text, or a number. Quotes are left to the library, which sets them where a
// reader would see anything else.
func value(form lb.Form, text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	switch form {
	case lb.Number:
		n.Tag = "!!int"
	case lb.Truth:
		n.Tag = "!!bool"
	case lb.Part:
		if !strings.HasSuffix(text, "%") {
			n.Tag = "!!int"
		}
	case lb.Endpoint:
		n.Style = yaml.DoubleQuotedStyle // an IPv6 one begins with a bracket
	}
	return n
}

// mappingNode is a mapping that is being written.
type mappingNode struct{ *yaml.Node }

func newMapping() mappingNode { return mappingNode{&yaml.Node{Kind: yaml.MappingNode}} }

func (m mappingNode) put(key string, value *yaml.Node) {
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
}
