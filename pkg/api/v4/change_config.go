package v4

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// editConfig gives the config that the request's path names to be changed, if the request's preconditions hold.
func (s *Server) editConfig(d *store.Draft, r *http.Request) (b *balancer, index int, err error) {
	if b, err = s.edit(d, pathID(r, "id")); err != nil {
		return nil, 0, err
	}
	id := pathID(r, "cid")
	if index = slices.IndexFunc(b.Configs, func(c lb.Config) bool { return c.ID == id }); index < 0 {
		return nil, 0, notFound()
	}
	return b, index, nil
}

// matchConfig holds a config against the request's preconditions.
func matchConfig(r *http.Request, b *balancer, index int) error {
	c := &b.Configs[index]
	return match(r, func() string { return tagOfConfig(c, b.note.Configs[c.ID]) })
}

func placeOfConfig(d *store.Draft, balancer, index int) string {
	return fmt.Sprintf("%s.configs[%d]", placeOfBalancer(d, balancer), index)
}

func (s *Server) createConfig(r *http.Request) (answer, error) {
	o, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	balancer, id := pathID(r, "id"), 0
	return s.change(r, func(d *store.Draft) (trial, error) {
		b, err := s.edit(d, balancer)
		if err != nil {
			return trial{}, err
		}
		id = addConfig(b, o, d)
		return trial{o, placeOfConfig(d, balancer, len(b.Configs)-1)}, nil
	}, func(d store.Desired) (answer, error) { return s.showConfig(d, balancer, id) })
}

func (s *Server) updateConfig(r *http.Request) (answer, error) { return s.remakeConfig(r, false) }

func (s *Server) rebuildConfig(r *http.Request) (answer, error) { return s.remakeConfig(r, true) }

// remakeConfig changes a config; a rebuild takes its nodes from the request, too.
func (s *Server) remakeConfig(r *http.Request, rebuilt bool) (answer, error) {
	o, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	balancer, id := pathID(r, "id"), pathID(r, "cid")
	return s.change(r, func(d *store.Draft) (trial, error) {
		b, index, err := s.editConfig(d, r)
		if err == nil {
			err = matchConfig(r, b, index)
		}
		if err != nil {
			return trial{}, err
		}
		c := &b.Configs[index]
		nodes, given := o.list("nodes")
		switch {
		case rebuilt && !given:
			o.fault("nodes", "nodes is required: a rebuild names all nodes, or [] for none")
		case !rebuilt && len(nodes) > 0:
			o.fault("nodes", "cannot be changed with the config: use rebuild, or the path of a node")
		}
		changeConfig(b, c, o)
		if rebuilt && given {
			rebuild(c, nodes, d)
		}
		return trial{o, placeOfConfig(d, balancer, index)}, nil
	}, func(d store.Desired) (answer, error) { return s.showConfig(d, balancer, id) })
}

func (s *Server) deleteConfig(r *http.Request) (answer, error) {
	return s.change(r, func(d *store.Draft) (trial, error) {
		b, index, err := s.editConfig(d, r)
		if err == nil {
			err = matchConfig(r, b, index)
		}
		if err == nil {
			b.Configs = slices.Delete(b.Configs, index, index+1)
		}
		return trial{}, err
	}, showNothing)
}

func (s *Server) createNode(r *http.Request) (answer, error) {
	o, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	balancer, config, id := pathID(r, "id"), pathID(r, "cid"), 0
	return s.change(r, func(d *store.Draft) (trial, error) {
		b, index, err := s.editConfig(d, r)
		if err != nil {
			return trial{}, err
		}
		c := &b.Configs[index]
		id = addNode(c, o, d)
		return trial{o, placeOfNode(d, balancer, index, len(c.Nodes)-1)}, nil
	}, func(d store.Desired) (answer, error) { return s.showNode(d, balancer, config, id) })
}

func placeOfNode(d *store.Draft, balancer, config, node int) string {
	return fmt.Sprintf("%s.nodes[%d]", placeOfConfig(d, balancer, config), node)
}

// editNode gives the node that the request's path names to be changed, if the request's preconditions hold.
func (s *Server) editNode(d *store.Draft, r *http.Request) (c *lb.Config, config, node int, err error) {
	b, config, err := s.editConfig(d, r)
	if err != nil {
		return nil, 0, 0, err
	}
	c = &b.Configs[config]
	id := pathID(r, "nid")
	if node = slices.IndexFunc(c.Nodes, func(n lb.Node) bool { return n.ID == id }); node < 0 {
		return nil, 0, 0, notFound()
	}
	return c, config, node, match(r, func() string { return tagOfNode(&c.Nodes[node]) })
}

func (s *Server) updateNode(r *http.Request) (answer, error) {
	o, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	balancer, config, id := pathID(r, "id"), pathID(r, "cid"), pathID(r, "nid")
	return s.change(r, func(d *store.Draft) (trial, error) {
		c, ci, ni, err := s.editNode(d, r)
		if err != nil {
			return trial{}, err
		}
		changeNode(c, &c.Nodes[ni], o)
		return trial{o, placeOfNode(d, balancer, ci, ni)}, nil
	}, func(d store.Desired) (answer, error) { return s.showNode(d, balancer, config, id) })
}

func (s *Server) deleteNode(r *http.Request) (answer, error) {
	return s.change(r, func(d *store.Draft) (trial, error) {
		c, _, node, err := s.editNode(d, r)
		if err == nil {
			c.Nodes = slices.Delete(c.Nodes, node, node+1)
		}
		return trial{}, err
	}, showNothing)
}
