package api

import "github.com/headgate/headgate/pkg/lb"

// Labelled implements lb.Ids. Without a daemon nobody knows any id.
func (s *Status) Labelled(label string) bool {
	for i := range s.Balancers {
		if s.Balancers[i].Name == label {
			return true
		}
	}
	return false
}

// BalancerName implements lb.Ids.
func (s *Status) BalancerName(id int) (string, bool) {
	for i := range s.Balancers {
		if s.Balancers[i].ID == id {
			return s.Balancers[i].Name, true
		}
	}
	return "", false
}

// ConfigName implements lb.Ids.
func (s *Status) ConfigName(id int) (string, bool) {
	for i := range s.Configs {
		if s.Configs[i].ID == id {
			return s.Configs[i].Name, true
		}
	}
	return "", false
}

// NodeName implements lb.Ids.
func (s *Status) NodeName(id int) (string, bool) {
	for i := range s.Configs {
		for j := range s.Configs[i].Nodes {
			if n := &s.Configs[i].Nodes[j]; n.ID == id {
				return n.Config + "/" + n.Address, true
			}
		}
	}
	return "", false
}

// Balancer finds a balancer by its label or id. The error lists the labels there are.
func (s *Status) Balancer(name string) (Balancer, error) {
	label := lb.NamedBalancer(s, name)
	known := make([]string, len(s.Balancers))
	for i, b := range s.Balancers {
		if b.Name == label {
			return b, nil
		}
		known[i] = b.Name
	}
	return Balancer{}, NotFound("%s: no such balancer (have: %s)", name, some(known))
}

// Config finds a config by name or id, as FindConfig does by name.
func (s *Status) Config(name string) (Config, error) {
	return FindConfig(s.Configs, lb.NamedConfig(s, name))
}

// Node finds a node by name or id, as FindNode does by name.
func (s *Status) Node(name string) (Node, error) {
	return FindNode(s.Nodes(), lb.NamedNode(s, name))
}
