package reconcile

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// node is what is known of a node id's entries in the maps.
type node struct {
	id      uint32
	address netip.AddrPort
	written bool // the record is complete
	listed  bool // the directory has it
	status  cell[maps.Status]
	decided maps.Status // last status that it was given, written or not
	hop     cell[maps.Hop]
	idle    cell[maps.Idle]
	snats   cell[maps.SNATRange]
	load    cell[maps.Load]
	info    cell[maps.NodeInfo]

	deadline cell[maps.Moment]
	wanted   uint64      // round of the last View that had it, as far as its service was looked at
	gone     time.Time   // since when it is removed; zero: it is present
	ends     maps.Moment // the deadline of its removal; none: it is present, or about to be removed
}

// statusOf says what packets do with a node. A node that takes new flows although it is DOWN
// (on_no_backend: open) is not dead to those it took. takes and sticks: it has what new flows need.
func statusOf(s *state.Service, n *state.Node, takes, sticks bool) maps.Status {
	st := maps.Status{Mode: n.Mode, Health: n.Health, Override: n.Override, Lifecycle: maps.Present}
	switch {
	case takes:
		st.Actions = maps.TakesNew
	case n.Mode != lb.Reject && n.Effective == lb.Down:
		st.Actions = maps.Dead
		if s.OnDown == lb.DownReset {
			st.Actions |= maps.ResetTCP
		}
	}
	if s.Sticky && sticks {
		st.Actions |= maps.Sticks
	}
	if !n.Deadline.IsZero() {
		st.Actions |= maps.HasDeadline
	}
	if s.Passive {
		st.Actions |= maps.Reports
	}
	return st
}

// loadOf is what a node's flows are measured by. One that takes none may have any weight.
func loadOf(n *state.Node) maps.Load {
	l := maps.Load{MaxConns: uint32(n.MaxConns), Weight: uint16(n.Weight * loadTenths)}
	if n.Takes {
		l.Weight = uint16(n.Weight * n.Percent / loadTenths)
	}
	return l
}

// prepareNode gives a node its id and writes all of it that the service's table does not decide:
// with what it needs to take new flows, if it is to take any. It gives what the node has of the table, nothing
// if it cannot take them.
func (r *Reconciler) prepareNode(svc *service, s *state.Service, n *state.Node) (sh share, err error) {
	sh = share{address: n.Key.Address, weight: n.Weight}
	nd, err := r.nodeFor(svc, n)
	if err != nil {
		return sh, err
	}
	sh.id = nd.id
	var full *fullError
	run, err := r.snatsFor(n, nd.snats.value)
	switch {
	case errors.As(err, &full):
		run = nd.snats.value
	case err != nil:
		return sh, err
	}
	takes := n.Takes && run.Count > 0
	switch {
	case takes:
		sh.percent = n.Percent
	case n.Takes:
		r.warn("%s takes no new flows: there is no source address to reach %s from (%s)",
			lb.NodeName(s.Config, n.Label), n.Key.Address.Addr(), n.Hop.Reason)
	}
	info := maps.NodeInfo{
		Label: n.Label, Weight: n.Weight, ModeSince: r.t.Moment(n.ModeSince), RemoveAfter: s.RemoveDeadline.Truncate(time.Millisecond),
	}
	if !n.CheckedAt.IsZero() {
		info.CheckedAt = time.Unix(0, n.CheckedAt.UnixNano())
	}
	err = nd.info.set(r, info, func(i maps.NodeInfo) error { return r.t.WriteNodeInfo(nd.id, i) })
	if err != nil {
		return sh, err
	}
	rec := maps.Node{
		Status:   statusOf(s, n, takes, n.Sticks && run.Count > 0),
		Hop:      r.hop(n.Hop),
		Address:  n.Key.Address,
		Protocol: s.Protocol,
		Service:  svc.id,
		Idle:     maps.Idle{TCP: s.TCPIdle, UDP: s.UDPIdle},
		SNATs:    run,
		Load:     loadOf(n),
		Deadline: r.t.Moment(r.pinned(n.Deadline)),
	}
	if err := r.writeNode(nd, rec); err != nil {
		return sh, err
	}
	if full != nil {
		return sh, full
	}
	return sh, nil
}

// nodeFor returns the node with its id: the one that it had, also if it was removed meanwhile.
func (r *Reconciler) nodeFor(svc *service, n *state.Node) (*node, error) {
	if nd := svc.nodes[n.Key.Address]; nd != nil {
		if nd.gone, nd.ends = (time.Time{}), 0; len(r.departed) > 0 {
			delete(r.departed, nd)
		}
		nd.wanted = r.round
		r.directory.enter(svc.vip, nd)
		return nd, nil
	}
	id, ok := r.nodeIDs.take()
	if !ok {
		return nil, &fullError{fmt.Sprintf("nodes: all %d ids are in use, %d of them by removed nodes whose flows go on",
			r.t.Limits().Nodes-1, len(r.departed))}
	}
	nd := &node{id: id, address: n.Key.Address, wanted: r.round}
	svc.nodes[n.Key.Address] = nd
	r.directory.enter(svc.vip, nd)
	return nd, nil
}

// writeNode writes a record: whole for a fresh id, else what differs, part by part. Of the status
// it writes only one that lets the node take new flows; the others come after the commit.
func (r *Reconciler) writeNode(nd *node, rec maps.Node) error {
	if !nd.written {
		r.writes += 2
		// A random start, or after a restart with fresh tables all nodes would see source ports
		// again that they still hold connections for.
		if err := r.t.StartNode(nd.id, rand.Uint64N(1<<32)); err != nil {
			return err
		}
		generation, err := r.firstGeneration(nd.id)
		if err != nil {
			return err
		}
		rec.Status.Generation = generation
		if err := r.t.WriteNode(nd.id, rec); err != nil {
			return err
		}
		nd.written, nd.decided = true, rec.Status
		nd.status, nd.hop, nd.idle = known(rec.Status), known(rec.Hop), known(rec.Idle)
		nd.snats, nd.load = known(rec.SNATs), known(rec.Load)
		nd.deadline = known(rec.Deadline)
		return nil
	}
	if err := r.setHop(nd, rec.Hop); err != nil {
		return err
	}
	if err := nd.idle.set(r, rec.Idle, func(i maps.Idle) error { return r.t.WriteIdle(nd.id, i) }); err != nil {
		return err
	}
	if !nd.snats.is(rec.SNATs) {
		r.tidied = time.Time{} // nobody may need the former ones any more
	}
	if err := nd.snats.set(r, rec.SNATs, func(s maps.SNATRange) error { return r.t.WriteSNATs(nd.id, s) }); err != nil {
		return err
	}
	if err := nd.load.set(r, rec.Load, func(l maps.Load) error { return r.t.WriteLoad(nd.id, l) }); err != nil {
		return err
	}
	if err := r.setDeadline(nd, rec.Deadline); err != nil {
		return err
	}
	if rec.Status.Actions&maps.TakesNew != 0 {
		return r.setStatus(nd, rec.Status)
	}
	return nil
}

func (r *Reconciler) setHop(nd *node, h maps.Hop) error {
	return nd.hop.set(r, h, func(h maps.Hop) error { return r.t.WriteHop(nd.id, h) })
}

func (r *Reconciler) setStatus(nd *node, s maps.Status) error {
	return nd.status.set(r, nd.next(s), func(s maps.Status) error { return r.t.WriteStatus(nd.id, s) })
}

// followHops keeps the hops of removed nodes up to date: their flows go on.
func (r *Reconciler) followHops(v *state.View) error {
	now := moment{v.Hopped, r.links.changed}
	if v.Hopped != 0 && r.followed == now {
		return nil
	}
	r.followed = moment{}
	var errs []error
	for n := range r.departed {
		h := v.Hops.At(n.address.Addr())
		if h == nil || !n.written {
			continue // nobody looks for it yet: the last known hop is the best there is
		}
		if err := r.setHop(n, r.hop(h)); err != nil {
			errs = append(errs, fmt.Errorf("node %d (%s), removed: %w", n.id, n.address, err))
		}
	}
	if len(errs) == 0 {
		r.followed = now
	}
	return errors.Join(errs...)
}

// moment tells one state of next hops and links from another.
type moment struct{ hopped, linked uint64 }

// nodes yields all nodes that have an id.
func (r *Reconciler) nodes() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		for _, s := range r.services {
			for _, n := range s.nodes {
				if !yield(n) {
					return
				}
			}
		}
		for _, n := range r.orphans {
			if !yield(n) {
				return
			}
		}
	}
}
