package daemon

import (
	"slices"

	"github.com/headgate/headgate/pkg/lb"
)

// merge lays declared balancers over the current ones: a balancer that is declared is as declared;
// one that is not stays, unless pruned. The order is that of current, then the new ones.
func merge(current, declared []lb.Balancer, prune bool) []lb.Balancer {
	left := slices.Clone(declared)
	var out []lb.Balancer
	for _, b := range current {
		i := slices.IndexFunc(left, func(d lb.Balancer) bool { return d.Label == b.Label })
		switch {
		case i >= 0:
			out = append(out, left[i])
			left = slices.Delete(left, i, i+1)
		case !prune:
			out = append(out, b)
		}
	}
	return append(out, left...)
}

// check refuses what merge has made if it is not valid, with every fault. Both sides were valid, so
// something declared contradicts a balancer that was kept.
func check(merged []lb.Balancer) error {
	return refusals(merged, lb.Validate(merged), " (balancers that the file does not name stay; `headgate apply --prune` removes them)")
}
