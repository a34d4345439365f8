package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/headgate/headgate/pkg/maps"
)

// scan says when the flow table is walked again to see what its flows have let go of.
type scan struct {
	next  time.Time
	pause time.Duration
}

// Pauses between walks: short after something was removed, long while long flows hold on to it.
const (
	scanPause    = time.Second
	scanPauseMax = 30 * time.Second
)

// soon makes the next walk come as soon as what was removed has rested.
func (s *scan) soon() { *s = scan{pause: scanPause} }

// done plans the next walk.
func (s *scan) done(now time.Time, fruitful bool) {
	if fruitful || s.pause == 0 {
		s.pause = scanPause
	} else {
		s.pause = min(2*s.pause, scanPauseMax)
	}
	s.next = now.Add(s.pause)
}

// collect takes back what was removed and has no flows any more: node ids, bits of addresses,
// interfaces, tags, and services without nodes.
func (r *Reconciler) collect(wanted map[maps.VIP]bool) error {
	bits := r.wantedOurs(wanted)
	r.noteStale(bits)
	nodes, err := r.endedNodes()
	if err != nil {
		return err
	}
	now := r.now()
	stale := r.ours.stale && now.Sub(r.ours.staleSince) >= grace
	fill, err := r.tagsFill()
	if err != nil {
		return err
	}
	if (len(nodes) > 0 || stale || fill || len(r.restedLinks()) > 0) && !now.Before(r.scan.next) {
		before := r.nodeIDs.left
		if err := r.collectUnused(nodes, bits, stale); err != nil {
			return err
		}
		r.noteStale(bits)
		r.scan.done(now, r.nodeIDs.left > before)
	}
	return r.freeServices()
}

// collectUnused walks the flow table and takes back what no flow holds on to.
func (r *Reconciler) collectUnused(nodes []*node, bits *maps.Ours, stale bool) error {
	usage, err := r.t.InUse()
	if err != nil {
		return fmt.Errorf("look for flows of what was removed: %w", err)
	}
	var errs []error
	for _, n := range nodes {
		if usage.Node(n.id) {
			continue
		}
		if err := r.freeNode(n); err != nil {
			errs = append(errs, fmt.Errorf("node %d (%s), removed: %w", n.id, n.address, err))
		}
	}
	if stale {
		errs = append(errs, r.clearOurs(bits, &usage.Ours))
	}
	errs = append(errs, r.freeLinks(usage), r.freeTags(usage))
	return errors.Join(errs...)
}

// endedNodes returns the nodes that have been removed long enough and have no active flows.
func (r *Reconciler) endedNodes() ([]*node, error) {
	var out []*node
	now := r.now()
	for n := range r.departed {
		if now.Sub(n.gone) < grace {
			continue
		}
		active, err := r.t.Active(n.id)
		if err != nil {
			return nil, fmt.Errorf("node %d (%s), removed: %w", n.id, n.address, err)
		}
		if active == 0 {
			out = append(out, n)
		}
	}
	return out, nil
}

// freeNode empties the entries of a node id and gives it back.
func (r *Reconciler) freeNode(n *node) error {
	r.writes += 2
	n.written = false
	// The generation stays, or the next owner might have one that stick entries name.
	if err := r.t.WriteNode(n.id, maps.Node{Status: maps.Status{Generation: n.decided.Generation}}); err != nil {
		return err
	}
	if err := r.t.WriteNodeInfo(n.id, maps.NodeInfo{}); err != nil {
		return err
	}
	for _, svc := range r.services {
		if svc.nodes[n.address] == n {
			delete(svc.nodes, n.address)
		}
	}
	for i, o := range r.orphans {
		if o == n {
			r.orphans = append(r.orphans[:i], r.orphans[i+1:]...)
			break
		}
	}
	delete(r.departed, n)
	r.nodeIDs.free(n.id)
	return nil
}

// freeServices gives back the ids of services that are removed and have no nodes left.
func (r *Reconciler) freeServices() error {
	for id, svc := range r.services {
		if svc.gone.IsZero() || len(svc.nodes) > 0 || r.now().Sub(svc.gone) < grace {
			continue
		}
		if err := svc.info.set(r, maps.ServiceInfo{}, func(i maps.ServiceInfo) error { return r.t.WriteServiceInfo(id, i) }); err != nil {
			return fmt.Errorf("service %d (%s), removed: %w", id, svc.vip, err)
		}
		delete(r.services, id)
		if r.byVIP[svc.vip] == svc {
			delete(r.byVIP, svc.vip)
		}
		r.serviceIDs.free(id)
	}
	return nil
}
