package v4

import (
	"net/http"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// date is a moment as version 4 has it: UTC, without saying so.
func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") }

func (s *Server) balancer(d *store.Desired, i int) *balancer {
	b := &balancer{Balancer: &d.Balancers[i], note: &d.Notes[i], site: &s.site}
	in, out := s.backend.Transfer(b.ID)
	b.in, b.out = float64(in)/1e6, float64(out)/1e6
	return b
}

func (s *Server) config(b *balancer, c *lb.Config) *config {
	return &config{Config: c, note: b.note.Configs[c.ID], balancer: b.ID, status: func() (up, down int) {
		for i := range c.Nodes {
			if s.backend.Health(b.Label, c, &c.Nodes[i]) == lb.Up {
				up++
			}
		}
		return up, len(c.Nodes) - up
	}}
}

func (s *Server) node(b *balancer, c *lb.Config, n *lb.Node) *node {
	return &node{Node: n, config: c.ID, balancer: b.ID, protocol: c.Protocol,
		health: func() lb.Health { return s.backend.Health(b.Label, c, n) },
		counts: func() (uint64, uint64) { return s.backend.Counts(b.Balancer, c, n) },
	}
}

// findBalancer, findConfig and findNode look things up by their ids.
func (s *Server) findBalancer(d *store.Desired, id int) (*balancer, error) {
	i, ok := d.Find(id)
	if !ok {
		return nil, notFound()
	}
	return s.balancer(d, i), nil
}

func (s *Server) findConfig(d *store.Desired, balancer, id int) (*balancer, *lb.Config, error) {
	b, err := s.findBalancer(d, balancer)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(b.Configs, func(c lb.Config) bool { return c.ID == id })
	if i < 0 {
		return nil, nil, notFound()
	}
	return b, &b.Configs[i], nil
}

func (s *Server) showBalancer(d store.Desired, id int) (answer, error) {
	b, err := s.findBalancer(&d, id)
	if err != nil {
		return answer{}, err
	}
	return answer{body: show(balancerProperties, b), etag: tagOfBalancer(b.Balancer, b.note), generation: d.Revision}, nil
}

func (s *Server) showConfig(d store.Desired, balancer, id int) (answer, error) {
	b, c, err := s.findConfig(&d, balancer, id)
	if err != nil {
		return answer{}, err
	}
	return answer{body: show(configProperties, s.config(b, c)), etag: tagOfConfig(c, b.note.Configs[id]), generation: d.Revision}, nil
}

func (s *Server) showNode(d store.Desired, balancer, config, id int) (answer, error) {
	b, c, err := s.findConfig(&d, balancer, config)
	if err != nil {
		return answer{}, err
	}
	i := slices.IndexFunc(c.Nodes, func(n lb.Node) bool { return n.ID == id })
	if i < 0 {
		return answer{}, notFound()
	}
	n := &c.Nodes[i]
	return answer{body: show(nodeProperties, s.node(b, c, n)), etag: tagOfNode(n), generation: d.Revision}, nil
}

func (s *Server) getBalancer(r *http.Request) (answer, error) {
	return s.showBalancer(s.backend.Get(), pathID(r, "id"))
}

func (s *Server) getConfig(r *http.Request) (answer, error) {
	return s.showConfig(s.backend.Get(), pathID(r, "id"), pathID(r, "cid"))
}

func (s *Server) getNode(r *http.Request) (answer, error) {
	return s.showNode(s.backend.Get(), pathID(r, "id"), pathID(r, "cid"), pathID(r, "nid"))
}

// balancerColumns are what balancers are looked up by.
var balancerColumns = []column[balancer]{
	{"label", func(b *balancer) []string { return []string{b.Label} }},
	{"ipv4", func(b *balancer) []string { return []string{text(b.IPv4.IsValid(), b.IPv4.String())} }},
	{"ipv6", func(b *balancer) []string { return []string{text(b.IPv6.IsValid(), b.IPv6.String())} }},
	{"hostname", func(b *balancer) []string { return []string{b.hostname()} }},
	{"region", func(b *balancer) []string { return []string{b.site.Region} }},
	{"tags", func(b *balancer) []string { return b.Tags }},
}

func text(there bool, s string) string {
	if !there {
		return ""
	}
	return s
}

func (s *Server) listBalancers(r *http.Request) (answer, error) {
	f, err := readFilter(r, balancerColumns)
	if err != nil {
		return answer{}, err
	}
	d := s.backend.Get()
	all := make([]balancer, len(d.Balancers))
	for i := range all {
		all[i] = balancer{Balancer: &d.Balancers[i], note: &d.Notes[i], site: &s.site}
	}
	a, err := page(r, f.apply(all), func(b *balancer) members {
		in, out := s.backend.Transfer(b.ID)
		b.in, b.out = float64(in)/1e6, float64(out)/1e6
		return show(balancerProperties, b)
	})
	a.generation = d.Revision
	return a, err
}

func (s *Server) listConfigs(r *http.Request) (answer, error) {
	d := s.backend.Get()
	b, err := s.findBalancer(&d, pathID(r, "id"))
	if err == nil {
		_, err = readFilter[lb.Config](r, nil)
	}
	if err != nil {
		return answer{}, err
	}
	a, err := page(r, b.Configs, func(c *lb.Config) members { return show(configProperties, s.config(b, c)) })
	a.generation = d.Revision
	return a, err
}

func (s *Server) listNodes(r *http.Request) (answer, error) {
	d := s.backend.Get()
	b, c, err := s.findConfig(&d, pathID(r, "id"), pathID(r, "cid"))
	if err == nil {
		_, err = readFilter[lb.Node](r, nil)
	}
	if err != nil {
		return answer{}, err
	}
	a, err := page(r, c.Nodes, func(n *lb.Node) members { return show(nodeProperties, s.node(b, c, n)) })
	a.generation = d.Revision
	return a, err
}
