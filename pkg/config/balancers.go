package config

import (
	"go.yaml.in/yaml/v3"

	"github.com/headgate/headgate/pkg/lb"
)

func (d *decoder) balancer(n *yaml.Node, path string) {
	var b lb.Balancer
	d.mapping(n, path, append(fieldsOf(d, &b, lb.BalancerFields),
		field{"tags", func(n *yaml.Node, path string) {
			d.sequence(n, path, func(n *yaml.Node, path string) {
				if s, ok := d.text(n, path); ok {
					b.Tags = append(b.Tags, s)
				}
			})
		}},
		field{"configs", func(n *yaml.Node, path string) {
			d.sequence(n, path, func(n *yaml.Node, path string) { b.Configs = append(b.Configs, d.config(n, path)) })
		}}))
	b.SetDefaults()
	d.file.Balancers = append(d.file.Balancers, b)
}

func (d *decoder) config(n *yaml.Node, path string) lb.Config {
	var c lb.Config
	d.mapping(n, path, append(fieldsOf(d, &c, lb.ConfigFields),
		field{"nodes", func(n *yaml.Node, path string) {
			d.sequence(n, path, func(n *yaml.Node, path string) { c.Nodes = append(c.Nodes, d.node(n, path)) })
		}}))
	if n.Kind == yaml.MappingNode && lookup(n, "port") == nil {
		d.add(n, path+".port", "is required")
	}
	return c
}

func (d *decoder) node(n *yaml.Node, path string) lb.Node {
	node := lb.Node{Weight: lb.DefaultWeight}
	d.mapping(n, path, fieldsOf(d, &node, lb.NodeFields))
	return node
}

// fieldsOf takes the keys of t from the vocabulary.
func fieldsOf[T any](d *decoder, t *T, table []lb.Field[T]) []field {
	fields := make([]field, len(table))
	for i := range table {
		f := &table[i]
		fields[i] = field{f.Key, func(n *yaml.Node, path string) {
			text, ok := d.scalar(n, path, f.Form, f.Must)
			if ok {
				if err := f.Set(t, text); err != nil {
					d.add(n, path, "%s", err)
					ok = false
				}
			}
			if !ok {
				f.Spoil(t)
			}
		}}
	}
	return fields
}
