package daemon

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

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

// check refuses what merge has made if it is not valid, with every fault. Both sides were valid, so
// something declared contradicts a balancer that was kept.
func check(merged []lb.Balancer) error {
	faults := lb.Validate(merged)
	if len(faults) == 0 {
		return nil
	}
	refusals := make([]api.Refusal, len(faults))
	for i, f := range faults {
		refusals[i] = api.Refusal{Field: f.Path, Reason: fmt.Sprintf("%s: %s (balancers that the file does not name stay; `headgate apply --prune` removes them)",
			byLabel(merged, f.Path), f.Reason)}
	}
	return &api.Error{Status: http.StatusBadRequest, Reasons: refusals}
}

// byLabel names the balancer of a path by its label: where it stands in the merged list nobody can see.
func byLabel(merged []lb.Balancer, path string) string {
	var i int
	if _, err := fmt.Sscanf(path, "balancers[%d]", &i); err != nil || i >= len(merged) {
		return path
	}
	return "balancer " + merged[i].Label + strings.TrimPrefix(path, fmt.Sprintf("balancers[%d]", i))
}
