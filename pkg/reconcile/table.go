package reconcile

import (
	"fmt"
	"slices"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// share is a node that takes new flows, and how many of them.
type share struct {
	node   uint32
	weight int
}

// table is a scheduling table in the slots.
type table struct {
	extent
	shares []share
}

// commit makes the service's word point to a table of the nodes that take new flows. The table is
// written where no packet looks; the word is the one store that changes what packets see.
func (r *Reconciler) commit(svc *service, s *state.Service, takes []share) error {
	drop := s.OnNoBackend == lb.NoBackendDrop
	if svc.table != nil && slices.Equal(svc.table.shares, takes) {
		t := svc.table
		return r.setWord(svc, maps.ServiceWord{Offset: t.first, Length: t.count, Drop: drop}, t)
	}
	if len(takes) == 0 {
		t := &table{}
		return r.setWord(svc, maps.ServiceWord{Drop: drop}, t)
	}
	slots := sequence(takes)
	if r.isThere(svc, slots) {
		w := svc.word.value
		w.Drop = drop
		return r.setWord(svc, w, &table{extent{w.Offset, w.Length}, takes})
	}
	e, ok := r.slots.take(uint32(len(slots)))
	if !ok {
		free, rests := r.slots.left()
		return &fullError{fmt.Sprintf("slots: no room for a table of %d in one piece (%d free, %d resting, %d in the map)",
			len(slots), free, rests, r.t.Limits().Slots)}
	}
	r.writes++
	if err := r.t.WriteSlots(e.first, slots); err != nil {
		r.slots.give(e)
		return err
	}
	// From now on the word may point there, even if writing it fails.
	svc.extents = append(svc.extents, e)
	return r.setWord(svc, maps.ServiceWord{Offset: e.first, Length: e.count, Drop: drop}, &table{e, takes})
}

// setWord commits a table. When it surely stands, all others of the service come to rest; when
// that fails, it is there to be committed the next time.
func (r *Reconciler) setWord(svc *service, w maps.ServiceWord, t *table) error {
	svc.table = t
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

// isThere reports whether the table that the word surely points to has these slots already: the
// case after a restart.
func (r *Reconciler) isThere(svc *service, slots []uint32) bool {
	if !svc.word.known || svc.word.value.Length != uint32(len(slots)) || len(svc.extents) != 1 {
		return false
	}
	have, err := r.t.ReadSlots(svc.word.value.Offset, svc.word.value.Length)
	return err == nil && slices.Equal(have, slots)
}

// sequence lays out a table: each node as often as its weight says, spread evenly.
func sequence(takes []share) []uint32 {
	weights := make([]int, len(takes))
	for i, t := range takes {
		weights[i] = t.weight
	}
	order := schedule.Smooth(weights)
	slots := make([]uint32, len(order))
	for i, which := range order {
		slots[i] = takes[which].node
	}
	return slots
}
