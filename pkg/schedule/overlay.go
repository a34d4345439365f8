package schedule

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
func (m *Maglev) Assign(percent []int) []int32 {
	a := assignment{Maglev: m, percent: relative(percent), slots: make([]int32, len(m.owner))}
	if a.percent == nil || len(m.owner) == 0 {
		return nil
	}
	for slot, owner := range m.owner {
		if a.percent[owner] < 100 && !a.takes(owner, slot) {
			owner = a.draw(slot)
		}
		a.slots[slot] = owner
	}
	for ring := range a.open {
		a.walk(ring)
	}
	return a.slots
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

type assignment struct {
	*Maglev
	percent []uint8
	slots   []int32
	open    [overlayRings][]int32 // slots whose draws have all missed, by the ring that decides
}

// takes says whether a member takes a slot. The share of its slots that a member takes grows by slots: none that
// it has taken goes away again while the percentage rises.
func (a *assignment) takes(member int32, slot int) bool {
	p := a.percent[member]
	return p == 100 || p > 0 && scale(mix(uint64(slot)+golden), 100) < int(p)
}

// draw looks for a slot's owner among those of other slots, who are there by their weights. It puts off what it
// does not find.
func (a *assignment) draw(slot int) int32 {
	h := mix(^uint64(slot))
	for range overlayDraws {
		h += golden
		if member := a.owner[scale(mix(h), len(a.owner))]; a.takes(member, slot) {
			return member
		}
	}
	ring := scale(mix(h+golden), overlayRings)
	a.open[ring] = append(a.open[ring], int32(slot))
	return 0
}

// walk finds owners by a ring: all slots in an order of its own. From where an open slot stands, the first slot
// counts whose owner takes everything. There is one, so a single look at all places answers for all slots.
func (a *assignment) walk(ring int) {
	if len(a.open[ring]) == 0 {
		return
	}
	size := len(a.owner)
	step := 1 + scale(mix(uint64(ring)+golden), size-1) // the slot at a place is place times step, modulo size
	at := 0
	for a.percent[a.owner[at]] != 100 {
		at = (at + step) % size
	}
	first := a.owner[at]        // of those that count, for who stands behind the last
	next := make([]int32, size) // place → owner of the first slot from there on that counts
	at = 0
	for place := size - 1; place >= 0; place-- {
		if at -= step; at < 0 {
			at += size
		}
		if owner := a.owner[at]; a.percent[owner] == 100 {
			first = owner
		}
		next[place] = first
	}
	for _, slot := range a.open[ring] {
		a.slots[slot] = next[scale(mix(uint64(slot)^golden), size)]
	}
}
