package schedule

import (
	"runtime"
	"sync"
)

// Draws of another owner for a slot, and then rings of all slots, until somebody takes it. With draws alone, few
// nodes among thousands would take thousands of draws to be found.
const (
	overlayDraws = 16
	overlayRings = 8
)

// Assign says which member each slot's flows go to, as indices of the members, while some of them do not take
// all that they own. percent is, per member, how much of it that is: 100, 0 for one that takes nothing, or
// between for one that is only starting. The result belongs to the caller; nil when nobody takes anything.
//
// Exactly as much moves as has to, whatever came before: a slot stays with its owner while that takes it, and
// else goes to the first of a sequence of its own that does. So a member that stops taking a slot moves that
// slot and no other, and one that starts takes only slots that come to it.
func (m *Maglev) Assign(percent []int) []uint16 {
	a := assignment{Maglev: m, percent: relative(percent)}
	if a.percent == nil || len(m.owner) == 0 {
		return nil
	}
	a.slots = make([]uint16, len(m.owner))
	copy(a.slots, m.owner)
	if !a.mark() {
		return a.slots // all take all
	}
	a.replace()
	each(overlayRings, a.walk)
	return a.slots
}

// each does something for all numbers below n, on all processors: no slot's owner depends on another's.
func each(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// parts cuts a table into one part for each processor, at multiples of 64: no two share a word of a bitmap.
func parts(size int) (bounds []int) {
	n := runtime.GOMAXPROCS(0)
	for i := range n {
		bounds = append(bounds, i*size/n&^63)
	}
	return append(bounds, size)
}

// relative scales percentages so that the highest is 100: somebody must take each slot. Nil when nobody does.
func relative(percent []int) []uint8 {
	most := 0
	for _, p := range percent {
		most = max(most, p)
	}
	if most == 0 {
		return nil
	}
	out := make([]uint8, len(percent))
	for i, p := range percent {
		out[i] = uint8(p * 100 / most)
	}
	return out
}

// openSlots are those whose draws have all missed, by the ring that decides.
type openSlots [overlayRings][]int32

type assignment struct {
	*Maglev
	percent []uint8
	slots   []uint16
	open    openSlots

	// Slots whose owners take everything, and those whose owners take some. Of thousands of members these lie in a
	// cache of the processor in which the owners have no room.
	all, some bitmap
	full      int // slots in all
}

// mark sees what owners take; false: all of them all.
func (a *assignment) mark() bool {
	a.all, a.some = newBitmap(len(a.owner)), newBitmap(len(a.owner))
	bounds := parts(len(a.owner))
	full := make([]int, len(bounds)-1)
	each(len(full), func(part int) { full[part] = a.markPart(bounds[part], bounds[part+1]) })
	for _, n := range full {
		a.full += n
	}
	return a.full < len(a.owner)
}

// markPart does so for the slots from one to another, and counts those that are in all.
func (a *assignment) markPart(from, to int) (full int) {
	for slot := from; slot < to; slot++ {
		switch a.percent[a.owner[slot]] {
		case 0:
		case 100:
			a.all.set(slot)
			full++
		default:
			a.some.set(slot)
		}
	}
	return full
}

// replace draws another owner for each slot whose own does not take it.
func (a *assignment) replace() {
	bounds := parts(len(a.owner))
	open := make([]openSlots, len(bounds)-1)
	each(len(open), func(part int) {
		for slot := bounds[part]; slot < bounds[part+1]; slot++ {
			if owner := a.owner[slot]; a.percent[owner] < 100 && !a.takes(owner, slot) {
				a.slots[slot] = a.draw(slot, &open[part])
			}
		}
	})
	for _, of := range open {
		for ring, slots := range of {
			a.open[ring] = append(a.open[ring], slots...)
		}
	}
}

// takes says whether a member takes a slot. The share of its slots that a member takes grows by slots: none that
// it has taken goes away again while the percentage rises.
func (a *assignment) takes(member uint16, slot int) bool {
	p := a.percent[member]
	return p == 100 || p > 0 && scale(mix(uint64(slot)+golden), 100) < int(p)
}

// draw looks for a slot's owner among those of other slots, who are there by their weights. It puts off what it
// does not find.
func (a *assignment) draw(slot int, open *openSlots) uint16 {
	h := mix(^uint64(slot))
	for range overlayDraws {
		h += golden
		at := scale(mix(h), len(a.owner))
		if a.all.has(at) || a.some.has(at) && a.takes(a.owner[at], slot) {
			return a.owner[at]
		}
	}
	ring := scale(mix(h+golden), overlayRings)
	open[ring] = append(open[ring], int32(slot))
	return 0
}

// walk finds owners by a ring: all slots in an order of its own. From where an open slot stands, the first slot
// counts whose owner takes everything. There is one.
func (a *assignment) walk(ring int) {
	if len(a.open[ring]) == 0 {
		return
	}
	size := len(a.owner)
	step := 1 + scale(mix(uint64(ring)+golden), size-1) // the slot at a place is place times step, modulo size
	if len(a.open[ring])*(size/a.full) < size {
		for _, slot := range a.open[ring] {
			at := scale(mix(uint64(slot)^golden), size) * step % size
			for !a.all.has(at) {
				if at += step; at >= size {
					at -= size
				}
			}
			a.slots[slot] = a.owner[at]
		}
		return
	}
	a.walkOnce(ring, step)
}

// walkOnce looks at all places once, which answers for all slots, where each would have to go far.
func (a *assignment) walkOnce(ring, step int) {
	size := len(a.owner)
	at := 0
	for !a.all.has(at) {
		at = (at + step) % size
	}
	first := a.owner[at]         // of those that count, for who stands behind the last
	next := make([]uint16, size) // place → owner of the first slot from there on that counts
	at = 0
	for place := size - 1; place >= 0; place-- {
		if at -= step; at < 0 {
			at += size
		}
		if a.all.has(at) {
			first = a.owner[at]
		}
		next[place] = first
	}
	for _, slot := range a.open[ring] {
		a.slots[slot] = next[scale(mix(uint64(slot)^golden), size)]
	}
}
