package reconcile

import (
	"fmt"
	"slices"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// table is a scheduling table in the slots.
type table struct {
	extent
	layout
	order
}

// commit makes the service's word point to a table of the nodes that take new flows. The table is written where no
// packet looks; the word is the one store that changes what packets see. Only a table by hash is changed where it
// is: a packet reads one of its words, each of which is replaced by one store, so there is nothing to mix; and
// thousands of nodes have a large table, of which a node that comes or goes changes little.
func (r *Reconciler) commit(svc *service, s *state.Service, shares []share) error {
	policy := policyWord(s)
	o := orderOf(s, shares)
	if svc.table != nil && svc.table.order.equal(&o) {
		return r.setWord(svc, policy, svc.table)
	}
	l := svc.layOut(&o)
	t := &table{layout: l, order: o}
	if l.length == 0 {
		return r.setWord(svc, policy, t)
	}
	if r.fits(svc, &l) {
		t.extent = svc.extents[0]
		// As after a restart, or with other weights in the same proportion. The tables of thousands of nodes by hash
		// differ when their orders do.
		if (svc.table == nil || l.algorithm != maps.Hash) && r.holds(t) {
			return r.setWord(svc, policy, t.forget())
		}
		if l.algorithm == maps.Hash {
			return r.replace(svc, policy, t)
		}
	}
	return r.writeAside(svc, policy, t)
}

// fits reports whether the table that the word surely points to is of this shape.
func (r *Reconciler) fits(svc *service, l *layout) bool {
	return svc.word.known && len(svc.extents) == 1 && svc.extents[0].count == uint32(len(l.words)) &&
		l.word(svc.extents[0].first, svc.word.value) == svc.word.value
}

// holds reports whether a table is what its slots say.
func (r *Reconciler) holds(t *table) bool {
	have, err := r.t.ReadSlots(t.first, t.count)
	return err == nil && slices.Equal(have, t.words)
}

// replace changes a table while packets read it.
func (r *Reconciler) replace(svc *service, policy maps.ServiceWord, t *table) error {
	svc.table = nil // what is there is not known until it is written
	r.writes++
	if err := r.t.WriteSlots(t.first, t.words); err != nil {
		return err
	}
	return r.setWord(svc, policy, t.forget())
}

// writeAside writes a table to slots that no packet reads, and commits it.
func (r *Reconciler) writeAside(svc *service, policy maps.ServiceWord, t *table) error {
	e, ok := r.slots.take(uint32(len(t.words)))
	if !ok {
		free, rests := r.slots.left()
		return &fullError{fmt.Sprintf("slots: no room for a table of %d words in one piece (%d free, %d resting, %d in the map)",
			len(t.words), free, rests, r.t.Limits().Slots)}
	}
	r.writes++
	if err := r.t.WriteSlots(e.first, t.words); err != nil {
		r.slots.give(e)
		return err
	}
	// From now on the word may point there, even if writing it fails.
	svc.extents = append(svc.extents, e)
	t.extent = e
	return r.setWord(svc, policy, t.forget())
}

// forget lets go of what is in the slots now.
func (t *table) forget() *table {
	t.words = nil
	return t
}

// setWord commits a table. When it surely stands, all others of the service come to rest; when
// that fails, it is there to be committed the next time.
func (r *Reconciler) setWord(svc *service, policy maps.ServiceWord, t *table) error {
	svc.table = t
	w := t.word(t.first, policy)
	if err := svc.word.set(r, w, func(w maps.ServiceWord) error { return r.t.WriteService(svc.id, w) }); err != nil {
		return err
	}
	svc.extents = slices.DeleteFunc(svc.extents, func(e extent) bool {
		if w.Length > 0 && e.first == w.Offset {
			return false
		}
		r.slots.rest(e, r.now())
		return true
	})
	return nil
}
