package daemon

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// edit makes one balancer, config or node of a draft be there, be otherwise or be gone. pool is what balancers
// without an address get one out of.
func edit(d *store.Draft, e api.Edit, pool lb.Pool) error {
	switch e.Kind {
	case api.KindBalancer:
		return editBalancer(d, e, pool)
	case api.KindConfig:
		return editConfig(d, e)
	default:
		return editNode(d, e)
	}
}

func editBalancer(d *store.Draft, e api.Edit, pool lb.Pool) error {
	all := d.Balancers()
	if e.Action == api.Add {
		if _, err := lb.FindBalancer(all, e.Name); err == nil {
			return taken(e)
		}
		added, _ := d.Add()
		added.Label = e.Name
		added.SetDefaults()
		if err := set(added, lb.BalancerSettings, e, "label"); err != nil || len(added.VIPs()) > 0 {
			return err
		}
		if reason := pool.Give(added, all); reason != "" {
			return api.BadRequest("ipv4", "%s: %s; or name one with ipv4 or ipv6", e.Name, reason)
		}
		return nil
	}
	b, err := balancerOf(d, lb.NamedBalancer(lb.Declared(all), e.Name))
	if err != nil {
		return err
	}
	if e.Action == api.Remove {
		d.Remove(b.ID)
		return nil
	}
	if to := e.Values["label"]; to != nil && *to != b.Label {
		if _, err := lb.FindBalancer(all, *to); err == nil {
			return api.BadRequest("label", "%s: label %q is another balancer's", e.Name, *to)
		}
	}
	return set(b, lb.BalancerSettings, e)
}

// named gives the name of what a change is about, which may be called by its id. What is to be added has none yet.
func named(d *store.Draft, e api.Edit, how func(lb.Ids, string) string) string {
	if e.Action == api.Add {
		how = lb.NamedWithin
	}
	return how(lb.Declared(d.Balancers()), e.Name)
}

// balancerOf gives the balancer with that label, to be changed.
func balancerOf(d *store.Draft, label string) (*lb.Balancer, error) {
	found, err := lb.FindBalancer(d.Balancers(), label)
	if err != nil {
		return nil, api.NotFound("%v", err)
	}
	b, _ := d.Edit(found.ID)
	return b, nil
}

func editConfig(d *store.Draft, e api.Edit) error {
	key, err := lb.ParseConfigKey(named(d, e, lb.NamedConfig))
	if err != nil {
		return api.BadRequest("config", "%v", err)
	}
	b, err := balancerOf(d, key.Balancer)
	if err != nil {
		return err
	}
	c, err := b.FindConfig(key.Port, key.Protocol)
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

func editNode(d *store.Draft, e api.Edit) error {
	key, name, err := lb.ParseNodeName(named(d, e, lb.NamedNode))
	if err != nil {
		return api.BadRequest("node", "%v", err)
	}
	b, err := balancerOf(d, key.Balancer)
	if err != nil {
		return err
	}
	c, err := b.FindConfig(key.Port, key.Protocol)
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
	n, err := c.FindNode(key, name)
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
