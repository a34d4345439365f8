package daemon

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/netdev"
)

// The engine tells the checks whom to check and the network whom to keep reachable; here is how it follows changes.

// retargetChecks tells the checks whom to check, if that is news. Where it changes fast, a few changes are
// told as one.
func (e *engine) retargetChecks() {
	targeted := e.state.Targeted()
	switch wait := checksPause - time.Since(e.checksSet); {
	case targeted == e.targeted || e.checksDue != nil:
	case wait > 0:
		e.checksDue = time.After(wait)
	default:
		e.checks.Set(e.state.Targets())
		e.targeted, e.checksSet = targeted, time.Now()
	}
}

// addTargets keeps next hops for the nodes that are new, too, and returns their addresses. Targets only grow
// here: flows of a node that goes away now still need the way to it.
func (e *engine) addTargets() (fresh []netip.Addr) {
	addresses := e.state.Addresses()
	if sameList(addresses, e.addresses) {
		return nil
	}
	e.addresses, e.overdue = addresses, true
	known := e.targets
	for _, a := range addresses { // both are sorted
		for len(known) > 0 && known[0].Less(a) {
			known = known[1:]
		}
		if len(known) == 0 || known[0] != a {
			fresh = append(fresh, a)
		}
	}
	if len(fresh) > 0 {
		e.setTargets(slices.Concat(e.targets, fresh))
	}
	return fresh
}

// retarget keeps next hops for all nodes that are desired, and for those that are gone but have flows left.
func (e *engine) retarget() {
	lingering := e.maps.Lingering()
	slices.SortFunc(lingering, netip.Addr.Compare)
	if !e.overdue && slices.Equal(lingering, e.lingering) {
		return
	}
	e.overdue, e.lingering = false, lingering
	e.setTargets(slices.Concat(e.addresses, lingering))
}

func (e *engine) setTargets(targets []netip.Addr) {
	slices.SortFunc(targets, netip.Addr.Compare)
	targets = slices.Compact(targets)
	if !slices.Equal(targets, e.targets) {
		e.targets = targets
		e.network.SetTargets(targets)
	}
}

// sameList says that two lists that nobody changes are one and the same.
func sameList(a, b []netip.Addr) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// hopsPatience is how long a start waits for next hops. Until then the table of before holds, with
// hops that are most probably good; a new table with unknown hops would lead through the kernel.
const hopsPatience = 2 * time.Second

// awaitHops returns when every node's next hop is settled, or patience is at an end.
func (e *engine) awaitHops(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, hopsPatience)
	defer cancel()
	for !allSettled(e.state.Addresses(), e.network.Hops()) {
		select {
		case <-ctx.Done():
			return
		case <-e.network.Changes():
		}
	}
}

// allSettled says that of each target it is known how it is reached, or why it is not.
func allSettled(targets []netip.Addr, hops netdev.Hops) bool {
	for _, t := range targets {
		if hop, known := hops.To(t); !known || hop.Pending {
			return false
		}
	}
	return true
}
