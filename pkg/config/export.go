package config

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

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
	m.text("label", b.Label)
	if b.IPv4.IsValid() {
		m.text("ipv4", b.IPv4.String())
	}
	if b.IPv6.IsValid() {
		m.text("ipv6", b.IPv6.String())
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
	// What would hold if the file said nothing; the default timeout follows from the interval.
	def := lb.Config{Check: lb.Check{Interval: c.Check.Interval}}
	def.SetDefaults()
	def.Check.Interval = lb.DefaultCheckInterval

	m := newMapping()
	m.number("port", int(c.Port), 0)
	m.textUnless("protocol", string(c.Protocol), string(def.Protocol))
	m.textUnless("algorithm", string(c.Algorithm), string(def.Algorithm))
	m.textUnless("on_no_backend", string(c.OnNoBackend), string(def.OnNoBackend))
	m.textUnless("on_down", string(c.OnDown), string(def.OnDown))
	m.duration("tcp_idle", c.TCPIdle, def.TCPIdle)
	m.duration("udp_idle", c.UDPIdle, def.UDPIdle)
	m.textUnless("check", string(c.Check.Type), string(def.Check.Type))
	m.number("check_port", int(c.Check.Port), int(def.Check.Port))
	m.duration("check_interval", c.Check.Interval, def.Check.Interval)
	m.duration("check_timeout", c.Check.Timeout, def.Check.Timeout)
	m.number("check_attempts", c.Check.Attempts, def.Check.Attempts)
	m.number("check_rise", c.Check.Rise, def.Check.Rise)
	if len(c.Nodes) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range c.Nodes {
			list.Content = append(list.Content, exportNode(&c.Nodes[i]))
		}
		m.put("nodes", list)
	}
	return m.Node
}

// exportNode writes a node on one line.
func exportNode(n *lb.Node) *yaml.Node {
	m := newMapping()
	m.Style = yaml.FlowStyle
	m.text("label", n.Label)
	m.text("address", n.Address.String())
	m.Content[len(m.Content)-1].Style = yaml.DoubleQuotedStyle // an IPv6 one begins with a bracket
	m.number("weight", n.Weight, lb.DefaultWeight)
	m.textUnless("mode", string(n.Mode), string(lb.Accept))
	m.textUnless("override", string(n.Override), string(lb.OverrideNone))
	return m.Node
}

// mappingNode is a mapping that is being written.
type mappingNode struct{ *yaml.Node }

func newMapping() mappingNode { return mappingNode{&yaml.Node{Kind: yaml.MappingNode}} }

func (m mappingNode) put(key string, value *yaml.Node) {
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
}

// text leaves quotes to the library, which sets them where a reader would see anything but a text.
func (m mappingNode) text(key, value string) {
	m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
}

func (m mappingNode) textUnless(key, value, def string) {
	if value != def {
		m.text(key, value)
	}
}

func (m mappingNode) number(key string, value, def int) {
	if value != def {
		m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(value)})
	}
}

func (m mappingNode) duration(key string, value, def time.Duration) {
	m.textUnless(key, lb.FormatDuration(value), lb.FormatDuration(def))
}
