package daemon

import (
	"net/http"
	"slices"

	"github.com/headgate/headgate/pkg/api"
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

// check refuses desired balancers that are not valid, with every fault.
func check(balancers []lb.Balancer) error {
	faults := lb.Validate(balancers)
	if len(faults) == 0 {
		return nil
	}
	refusals := make([]api.Refusal, len(faults))
	for i, f := range faults {
		refusals[i] = api.Refusal{Reason: f.String(), Field: f.Path}
	}
	return &api.Error{Status: http.StatusBadRequest, Reasons: refusals}
}
