package state

import (
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
)

// change is a config that is not what it was; nil: it was, or is, not there.
type change struct {
	key     lb.ConfigKey
	was, is *lb.Config
}

// changesOf finds what differs between two desired states. What shares its memory is the same, so that the cost
// is that of the changes and not that of the whole.
func changesOf(was, is []lb.Balancer) (changes []change) {
	Pair(was, is, func(b *lb.Balancer) string { return b.Label }, func(label string, from, to *lb.Balancer) {
		if from != nil && to != nil && sameMemory(from, to) {
			return
		}
		none := &lb.Balancer{}
		if from == nil {
			from = none
		}
		if to == nil {
			to = none
		}
		moved := !from.EqualButConfigs(*to)
		Pair(from.Configs, to.Configs, func(c *lb.Config) lb.ConfigKey { return c.Key(label) }, func(key lb.ConfigKey, a, b *lb.Config) {
			if a == nil || b == nil || moved || !a.Equal(*b) {
				changes = append(changes, change{key, a, b})
			}
		})
	})
	return changes
}

// sameMemory says that two balancers of the same label surely declare the same.
func sameMemory(a, b *lb.Balancer) bool {
	return a.EqualButConfigs(*b) && len(a.Configs) == len(b.Configs) &&
		(len(a.Configs) == 0 || &a.Configs[0] == &b.Configs[0])
}

// sameOrder says that two lists have the same balancers in the same order.
func sameOrder(a, b []lb.Balancer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Label != b[i].Label {
			return false
		}
	}
	return true
}

// sameConfigs says that two lists have the same balancers in the same order, and these the same configs.
func sameConfigs(a, b []lb.Balancer) bool {
	if !sameOrder(a, b) {
		return false
	}
	for i := range a {
		was, is := a[i].Configs, b[i].Configs
		if len(was) == len(is) && (len(is) == 0 || &was[0] == &is[0]) {
			continue
		}
		if !slices.EqualFunc(was, is, func(x, y lb.Config) bool { return x.Port == y.Port && x.Protocol == y.Protocol }) {
			return false
		}
	}
	return true
}

// Pair hands out each key of both lists once, with what is there under it; nil: nothing is. Mostly all stay where
// they were, which costs no search.
func Pair[T any, K comparable](was, is []T, key func(*T) K, each func(k K, was, is *T)) {
	var rest map[K]*T // of was, what was not met where it stood
	for i := range was {
		if i < len(is) && key(&was[i]) == key(&is[i]) {
			continue
		}
		if rest == nil {
			rest = map[K]*T{}
		}
		rest[key(&was[i])] = &was[i]
	}
	for i := range is {
		k := key(&is[i])
		if i < len(was) && key(&was[i]) == k {
			each(k, &was[i], &is[i])
			continue
		}
		each(k, rest[k], &is[i])
		delete(rest, k)
	}
	for k, t := range rest {
		each(k, t, nil)
	}
}

// follow keeps what is known of the nodes of a config in step with a change of it.
func (s *State) follow(c change) {
	var came, gone []lb.Node
	checks := s.followChecks(c)
	Pair(nodesOf(c.was), nodesOf(c.is), func(n *lb.Node) netip.AddrPort { return n.Address }, func(_ netip.AddrPort, was, is *lb.Node) {
		checks(was, is)
		s.followMode(c.key, was, is)
		switch {
		case was == nil:
			came = append(came, *is)
		case is == nil:
			gone = append(gone, *was)
		}
	})
	s.addresses.count(came, 1)
	s.addresses.count(gone, -1)
}

func nodesOf(c *lb.Config) []lb.Node {
	if c == nil {
		return nil
	}
	return c.Nodes
}
