package state

import (
	"iter"

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

// recheckedSince yields the nodes of which something else may be known by these results than was, with their checks.
func (s *State) recheckedSince(results health.Results) iter.Seq2[lb.NodeKey, *lb.Check] {
	news, same := results.Since(s.health)
	if !same {
		return checked(s.balancers)
	}
	return func(yield func(lb.NodeKey, *lb.Check) bool) {
		for key := range news {
			if c := s.checkOf(key.Config); c != nil && !yield(key, c) {
				return
			}
		}
	}
}

// checkOf is the check of a config as it is made; nil: there is no such config.
func (s *State) checkOf(config lb.ConfigKey) *lb.Check {
	if s.checks == nil {
		s.checks = map[lb.ConfigKey]*lb.Check{}
		for i := range s.balancers {
			b := &s.balancers[i]
			for j := range b.Configs {
				probe := b.Configs[j].Probe()
				s.checks[b.Configs[j].Key(b.Label)] = &probe
			}
		}
	}
	return s.checks[config]
}

// followChecks gives what is to be done for each node of a config that changes: what is known of nodes whose checks
// start with a new desired state is dropped. A node that leaves mode reject is Unknown until its next check, and so is
// one that was away. With the first desired state, what was known before the restart holds.
func (s *State) followChecks(c change) func(was, is *lb.Node) {
	now, another, told := s.now(), !sameProbe(c.was, c.is), false
	return func(was, is *lb.Node) {
		before := was != nil && isChecked(c.was, was)
		after := is != nil && isChecked(c.is, is)
		if !told && (before != after || after && another) {
			told = true
			s.targeted++
		}
		switch {
		case after && !before && s.started:
			s.since[lb.NodeKey{Config: c.key, Address: is.Address}] = now
		case before && !after:
			delete(s.since, lb.NodeKey{Config: c.key, Address: was.Address})
		}
	}
}

// sameProbe says that two configs have their nodes checked alike.
func sameProbe(a, b *lb.Config) bool { return a != nil && b != nil && a.Probe() == b.Probe() }

// found returns what is known of a checked node: the check's result, else what was known before a
// restart while that is within two intervals (of the future too: clocks are set back), else Unknown.
func (s *State) found(results health.Results, key lb.NodeKey, c *lb.Check) health.Result {
	since, restarted := s.since[key]
	if r, ok := results.Of(key); ok && (!restarted || r.At.After(since)) {
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
