package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// deadlineSlack is by how much a deadline may differ from the one in the maps, which is exact to a jiffy.
const deadlineSlack = 20 * time.Millisecond

// setDeadline writes when a node's flows end. It counts once the status says that there is a deadline.
func (r *Reconciler) setDeadline(nd *node, at maps.Moment) error {
	if at == 0 || nd.deadline.known && time.Duration(at-nd.deadline.value).Abs() <= deadlineSlack {
		return nil
	}
	return nd.deadline.set(r, at, func(at maps.Moment) error { return r.t.WriteDeadline(nd.id, at) })
}

// pinned returns a deadline as the maps need it: one that fell long ago would after some weeks seem to
// lie ahead, since they keep 32 bits of jiffies, and so moves along, hour by hour.
func (r *Reconciler) pinned(deadline time.Time) time.Time {
	if deadline.IsZero() {
		return deadline
	}
	if past := r.now().Sub(deadline); past > time.Hour {
		return deadline.Add(past.Truncate(time.Hour))
	}
	return deadline
}

// removeNode marks a node that is in no table any more. Its flows go on until its deadline, and its id
// rests until they have ended. If it was DOWN, it still is to them.
func (r *Reconciler) removeNode(nd *node) error {
	if nd.ends == 0 {
		after := nd.info.value.RemoveAfter
		if after == 0 { // it went before its info was written
			after = lb.DefaultRemoveDeadline
		}
		nd.ends = r.t.Moment(r.now().Add(after))
	}
	if err := r.setDeadline(nd, nd.ends); err != nil {
		return err
	}
	last := nd.status.value
	last.Lifecycle, last.Actions = maps.Removed, last.Actions&(maps.Dead|maps.ResetTCP)|maps.HasDeadline
	if err := r.setStatus(nd, last); err != nil {
		return err
	}
	if nd.gone.IsZero() {
		nd.gone = r.now()
		r.departed[nd], r.followed = true, moment{}
		r.scan.soon()
	}
	return nil
}

// removeOrphans gives the flows of nodes that belong to nobody a deadline, too.
func (r *Reconciler) removeOrphans() error {
	var errs []error
	for _, n := range r.orphans {
		if err := r.removeNode(n); err != nil {
			errs = append(errs, fmt.Errorf("node %d (%s), which no service has: %w", n.id, n.address, err))
		}
	}
	return errors.Join(errs...)
}
