package state

import (
	"iter"
	"maps"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
)

// isChecked says whether a node's health is looked for at all: not in mode reject, and not when
// the config asks for no checks.
func isChecked(c *lb.Config, n *lb.Node) bool {
	return n.Mode != lb.Reject && c.Check.Type != lb.CheckNone && c.Check.Type != ""
}

// checked yields the nodes that are checked, with their checks as they are made.
func checked(balancers []lb.Balancer) iter.Seq2[lb.NodeKey, *lb.Check] {
	return func(yield func(lb.NodeKey, *lb.Check) bool) {
		for i := range balancers {
			b := &balancers[i]
			for j := range b.Configs {
				c := &b.Configs[j]
				probe := c.Probe()
				for k := range c.Nodes {
					n := &c.Nodes[k]
					if !isChecked(c, n) {
						continue
					}
					if !yield(lb.NodeKey{Config: c.Key(b.Label), Address: n.Address}, &probe) {
						return
					}
				}
			}
		}
	}
}

// probes are the checks of the nodes of a config that are checked, as they are made.
func probes(key lb.ConfigKey, c *lb.Config) map[lb.NodeKey]lb.Check {
	out := map[lb.NodeKey]lb.Check{}
	if c == nil {
		return out
	}
	for k := range c.Nodes {
		if n := &c.Nodes[k]; isChecked(c, n) {
			out[lb.NodeKey{Config: key, Address: n.Address}] = c.Probe()
		}
	}
	return out
}

// followChecks drops what is known of nodes whose checks start with a new desired state: a node that
// leaves mode reject is Unknown until its next check, and so is one that was away. With the first
// desired state, what was known before the restart holds.
func (s *State) followChecks(c change) {
	was, is := probes(c.key, c.was), probes(c.key, c.is)
	if !maps.Equal(was, is) {
		s.targeted++
	}
	now := s.now()
	for key := range is {
		if _, before := was[key]; !before && s.started {
			s.since[key] = now
		}
	}
	for key := range was {
		if _, still := is[key]; !still {
			delete(s.since, key)
		}
	}
}

// found returns what is known of a checked node: the check's result, else what was known before a
// restart while that is within two intervals (of the future too: clocks are set back), else Unknown.
func (s *State) found(results map[lb.NodeKey]health.Result, key lb.NodeKey, c *lb.Check) health.Result {
	since, restarted := s.since[key]
	if r, ok := results[key]; ok && (!restarted || r.At.After(since)) {
		return r
	}
	if k, ok := s.initial(key); ok && s.now().Sub(k.At).Abs() <= 2*c.Interval {
		return health.Result{Key: key, Health: k.Health, At: k.At}
	}
	return health.Result{Key: key, Health: lb.Unknown}
}

// initial returns what was known before a restart, unless the node's checks began anew since.
func (s *State) initial(key lb.NodeKey) (Known, bool) {
	if _, restarted := s.since[key]; restarted {
		return Known{}, false
	}
	k, ok := s.known[key]
	return k, ok
}

// Targeted counts the changes of what Targets returns.
func (s *State) Targeted() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targeted
}

// Targets returns the nodes to check: those not in mode reject of configs that ask for checks.
func (s *State) Targets() []health.Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []health.Target
	for key, check := range checked(s.balancers) {
		t := health.Target{Key: key, Check: check, Initial: lb.Unknown, Since: s.since[key]}
		if k, ok := s.initial(key); ok {
			t.Initial, t.InitialAt = k.Health, k.At
		}
		out = append(out, t)
	}
	return out
}
