package daemon

import (
	"context"
	"net/netip"
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
	if e.targets == nil {
		e.targets, e.leaving = map[netip.Addr]bool{}, map[netip.Addr]bool{}
	}
	came, gone := e.state.AddressesMoved()
	for _, a := range came {
		if _, known := e.targets[a]; !known {
			fresh = append(fresh, a)
		}
		e.targets[a] = true
		delete(e.leaving, a)
	}
	for _, a := range gone {
		e.targets[a], e.leaving[a] = false, true
	}
	if len(fresh) > 0 {
		e.network.MoveTargets(fresh, nil)
	}
	return fresh
}

// retargetPause is the least between two looks for what next hops are needed no longer, or from before the start.
const retargetPause = 100 * time.Millisecond

// retarget keeps next hops for nodes that are gone but have flows left, also from before the start, and no longer
// for those that have none.
func (e *engine) retarget() {
	now := time.Now()
	if now.Sub(e.retargeted).Abs() < retargetPause {
		return // the next round, in a second at most, looks again
	}
	e.retargeted = now
	all := e.maps.Lingering()
	lingering := make(map[netip.Addr]bool, len(all))
	var came, gone []netip.Addr
	for _, a := range all {
		lingering[a] = true
		if _, known := e.targets[a]; !known {
			e.targets[a], e.leaving[a] = false, true
			came = append(came, a)
		}
	}
	for a := range e.leaving {
		if !lingering[a] {
			delete(e.targets, a)
			delete(e.leaving, a)
			gone = append(gone, a)
		}
	}
	if len(came)+len(gone) > 0 {
		e.network.MoveTargets(came, gone)
	}
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
