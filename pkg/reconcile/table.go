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
	length uint32 // node ids
	shares []share
}

func (t *table) word(drop bool) maps.ServiceWord {
	return maps.ServiceWord{Offset: t.first, Length: t.length, Drop: drop}
}

// commit makes the service's word point to a table of the nodes that take new flows. The table is
// written where no packet looks; the word is the one store that changes what packets see.
func (r *Reconciler) commit(svc *service, s *state.Service, takes []share) error {
	drop := s.OnNoBackend == lb.NoBackendDrop
	if svc.table != nil && slices.Equal(svc.table.shares, takes) {
		return r.setWord(svc, drop, svc.table)
	}
	if len(takes) == 0 {
		return r.setWord(svc, drop, &table{})
	}
	slots, length := sequence(takes)
	if r.isThere(svc, slots, length) {
		return r.setWord(svc, drop, &table{svc.extents[0], length, takes})
	}
	e, ok := r.slots.take(uint32(len(slots)))
	if !ok {
		free, rests := r.slots.left()
		return &fullError{fmt.Sprintf("slots: no room for a table of %d words in one piece (%d free, %d resting, %d in the map)",
			len(slots), free, rests, r.t.Limits().Slots)}
	}
	r.writes++
	if err := r.t.WriteSlots(e.first, slots); err != nil {
		r.slots.give(e)
		return err
	}
	// From now on the word may point there, even if writing it fails.
	svc.extents = append(svc.extents, e)
	return r.setWord(svc, drop, &table{e, length, takes})
}

// setWord commits a table. When it surely stands, all others of the service come to rest; when
// that fails, it is there to be committed the next time.
func (r *Reconciler) setWord(svc *service, drop bool, t *table) error {
	svc.table = t
	w := t.word(drop)
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
func (r *Reconciler) isThere(svc *service, slots []uint64, length uint32) bool {
	if !svc.word.known || svc.word.value.Length != length || len(svc.extents) != 1 {
		return false
	}
	have, err := r.t.ReadSlots(svc.extents[0].first, svc.extents[0].count)
	return err == nil && slices.Equal(have, slots)
}

// sequence lays out a table: each node as often as its weight says, spread evenly.
func sequence(takes []share) (words []uint64, length uint32) {
	weights := make([]int, len(takes))
	for i, t := range takes {
		weights[i] = t.weight
	}
	order := schedule.Smooth(weights)
	ids := make([]uint32, len(order))
	for i, which := range order {
		ids[i] = takes[which].node
	}
	return maps.PackNodes(ids), uint32(len(ids))
}
