package config

import (
	"net/netip"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/headgate/headgate/pkg/lb"
)

// unreadable stands for a word that could not be read, so that nothing else is taken for it. Its own
// fault is already noted.
const unreadable = "?"

func (d *decoder) balancer(n *yaml.Node, path string) {
	var b lb.Balancer
	d.mapping(n, path, []field{
		{"label", textField(d, &b.Label)},
		{"ipv4", d.vip(&b.IPv4, netip.IPv4Unspecified())},
		{"ipv6", d.vip(&b.IPv6, netip.IPv6Unspecified())},
		{"configs", func(n *yaml.Node, path string) {
			d.sequence(n, path, func(n *yaml.Node, path string) { b.Configs = append(b.Configs, d.config(n, path)) })
		}},
	})
	b.SetDefaults()
	d.file.Balancers = append(d.file.Balancers, b)
}

// vip takes a VIP. One that cannot be read becomes unspecified, which is at fault in the same place
// but says that the family is there; or else each node of that family would be blamed, too.
func (d *decoder) vip(to *netip.Addr, unspecified netip.Addr) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		a, ok := d.address(n, path)
		if !ok {
			a = unspecified
		}
		*to = a
	}
}

func (d *decoder) config(n *yaml.Node, path string) lb.Config {
	var c lb.Config
	d.mapping(n, path, []field{
		{"port", numberField(d, &c.Port, lb.PortLimit)},
		{"protocol", textField(d, &c.Protocol)},
		{"algorithm", textField(d, &c.Algorithm)},
		{"stickiness", func(n *yaml.Node, path string) { d.word(n, path, "none") }},
		{"forwarding", func(n *yaml.Node, path string) { d.word(n, path, "nat") }},
		{"on_no_backend", textField(d, &c.OnNoBackend)},
		{"on_down", textField(d, &c.OnDown)},
		{"tcp_idle", d.durationField(&c.TCPIdle, lb.TCPIdleSpan)},
		{"udp_idle", d.durationField(&c.UDPIdle, lb.UDPIdleSpan)},
		{"check", textField(d, &c.Check.Type)},
		{"check_port", numberField(d, &c.Check.Port, lb.PortLimit)},
		{"check_interval", d.durationField(&c.Check.Interval, lb.CheckIntervalSpan)},
		{"check_timeout", d.durationField(&c.Check.Timeout, lb.CheckTimeoutSpan)},
		{"check_attempts", numberField(d, &c.Check.Attempts, lb.AttemptsLimit)},
		{"check_rise", numberField(d, &c.Check.Rise, lb.RiseLimit)},
		{"nodes", func(n *yaml.Node, path string) {
			d.sequence(n, path, func(n *yaml.Node, path string) { c.Nodes = append(c.Nodes, d.node(n, path)) })
		}},
	})
	if n.Kind == yaml.MappingNode && lookup(n, "port") == nil {
		d.add(n, path+".port", "is required")
	}
	return c
}

func (d *decoder) node(n *yaml.Node, path string) lb.Node {
	node := lb.Node{Weight: lb.DefaultWeight}
	d.mapping(n, path, []field{
		{"label", textField(d, &node.Label)},
		{"address", func(n *yaml.Node, path string) {
			s, ok := d.text(n, path)
			if !ok {
				return
			}
			a, err := lb.ParseNodeAddress(s)
			if err != nil {
				d.add(n, path, "%s", err)
				return
			}
			node.Address = a
		}},
		{"weight", numberField(d, &node.Weight, lb.WeightLimit)},
		{"mode", textField(d, &node.Mode)},
		{"override", textField(d, &node.Override)},
	})
	return node
}

// textField takes any text; whether it is one of the allowed words is for validation to say.
func textField[T ~string](d *decoder, to *T) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		s, ok := d.text(n, path)
		if !ok {
			s = unreadable
		}
		*to = T(s)
	}
}

// numberField takes a number inside limit, which T can hold.
func numberField[T int | uint16](d *decoder, to *T, limit lb.Limit) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		if v, ok := d.integer(n, path, limit); ok {
			*to = T(v)
		}
	}
}

func (d *decoder) durationField(to *time.Duration, span lb.Span) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		if v, ok := d.duration(n, path, span); ok {
			*to = v
		}
	}
}
