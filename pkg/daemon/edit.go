package daemon

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// edit makes one balancer, config or node of current be there, be otherwise or be gone. current is changed, and
// no longer good for anything after an error.
func edit(current []lb.Balancer, e api.Edit) ([]lb.Balancer, error) {
	switch e.Kind {
	case api.KindBalancer:
		return editBalancer(current, e)
	case api.KindConfig:
		return current, editConfig(current, e)
	default:
		return current, editNode(current, e)
	}
}

func editBalancer(current []lb.Balancer, e api.Edit) ([]lb.Balancer, error) {
	b, err := lb.FindBalancer(current, e.Name)
	if e.Action == api.Add {
		if err == nil {
			return nil, taken(e)
		}
		added := lb.Balancer{Label: e.Name}
		current = append(current, added)
		return current, set(&current[len(current)-1], lb.BalancerFields, e, "label")
	}
	if err != nil {
		return nil, api.NotFound("%v", err)
	}
	if e.Action == api.Remove {
		return slices.DeleteFunc(current, func(o lb.Balancer) bool { return o.Label == b.Label }), nil
	}
	if to := e.Values["label"]; to != nil && *to != b.Label {
		if _, err := lb.FindBalancer(current, *to); err == nil {
			return nil, api.BadRequest("label", "%s: label %q is another balancer's", e.Name, *to)
		}
	}
	return current, set(b, lb.BalancerFields, e)
}

func editConfig(current []lb.Balancer, e api.Edit) error {
	key, err := lb.ParseConfigKey(e.Name)
	if err != nil {
		return api.BadRequest("config", "%v", err)
	}
	b, err := lb.FindBalancer(current, key.Balancer)
	if err != nil {
		return api.NotFound("%v", err)
	}
	c, err := lb.FindConfig(current, key)
	switch {
	case e.Action == api.Add && err == nil:
		return taken(e)
	case e.Action == api.Add:
		b.Configs = append(b.Configs, lb.Config{Port: key.Port, Protocol: key.Protocol})
		c = &b.Configs[len(b.Configs)-1]
	case err != nil:
		return api.NotFound("%v", err)
	case e.Action == api.Remove:
		b.Configs = slices.DeleteFunc(b.Configs, func(o lb.Config) bool { return o.Key(b.Label) == key })
		return nil
	}
	err = set(c, lb.ConfigFields, e, "port", "protocol")
	c.SetDefaults()
	return err
}

func editNode(current []lb.Balancer, e api.Edit) error {
	key, name, err := lb.ParseNodeName(e.Name)
	if err != nil {
		return api.BadRequest("node", "%v", err)
	}
	c, err := lb.FindConfig(current, key)
	if err != nil {
		return api.NotFound("%v", err)
	}
	if e.Action == api.Add {
		if slices.ContainsFunc(c.Nodes, func(o lb.Node) bool { return o.Label == name }) {
			return taken(e)
		}
		c.Nodes = append(c.Nodes, lb.Node{Label: name, Weight: lb.DefaultWeight})
		n := &c.Nodes[len(c.Nodes)-1]
		err := set(n, lb.NodeFields, e, "label")
		n.SetDefaults()
		return err
	}
	n, err := lb.FindNode(current, key, name)
	if err != nil {
		return api.NotFound("%v", err)
	}
	if e.Action == api.Remove {
		address := n.Address
		c.Nodes = slices.DeleteFunc(c.Nodes, func(o lb.Node) bool { return o.Address == address })
		return nil
	}
	err = set(n, lb.NodeFields, e)
	n.SetDefaults()
	return err
}

// taken says that what is to be added is there.
func taken(e api.Edit) error {
	return api.Conflict("%s: there is a %s of this name already: `headgate %s set` changes it", e.Name, e.Kind, e.Kind)
}

// set changes t as the values of e say, or says all that is wrong with them. The keys in named are those that t
// has its name by, and that cannot be set apart from it.
func set[T any](t *T, fields []lb.Field[T], e api.Edit, named ...string) error {
	refusal := &api.Error{Status: http.StatusBadRequest}
	refuse := func(key, format string, args ...any) {
		refusal.Reasons = append(refusal.Reasons, api.Refusal{Field: key, Reason: e.Name + ": " + fmt.Sprintf(format, args...)})
	}
	var known []string
	for i := range fields {
		f := &fields[i]
		value, given := e.Values[f.Key]
		if slices.Contains(named, f.Key) {
			continue
		}
		known = append(known, f.Key)
		if !given {
			continue
		}
		switch {
		case value != nil:
			if err := f.Set(t, *value); err != nil {
				refuse(f.Key, "%s %v", f.Key, err)
			}
		case f.Named:
			refuse(f.Key, "%s has no default: give a value", f.Key)
		default:
			f.Clear(t)
		}
	}
	for key := range e.Values {
		switch {
		case slices.Contains(named, key):
			refuse(key, "%s is part of its name", key)
		case !slices.Contains(known, key):
			refuse(key, "%q is nothing that can be set (there are: %s)", key, strings.Join(known, ", "))
		}
	}
	if len(refusal.Reasons) > 0 {
		slices.SortStableFunc(refusal.Reasons, func(a, b api.Refusal) int { return slices.Index(known, a.Field) - slices.Index(known, b.Field) })
		return refusal
	}
	return nil
}
