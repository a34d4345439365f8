package schedule

import (
	"cmp"
	"net/netip"
	"slices"
)

// Member is a node of a config as far as its clients' places are concerned.
type Member struct {
	Address netip.AddrPort // no two are the same
	Weight  int            // 1 to 255
}

// tableSizes are the slots that tables by hash have: the first that has a hundred for each member. They are
// primes, so that every step visits all slots, and far apart, because with another size nearly every client
// has another slot.
var tableSizes = []int{8_191, 32_749, 131_071, 524_287, 1_048_573, 4_194_301}

const slotsPerMember = 100

// TableSize is how many slots the table of so many members has.
func TableSize(members int) int {
	for _, size := range tableSizes {
		if size >= members*slotsPerMember {
			return size
		}
	}
	return tableSizes[len(tableSizes)-1]
}

// Maglev is who owns each slot while every member takes new flows: in proportion to their weights, and so that
// another set of members moves few of them (Eisenbud et al., Maglev, NSDI 2016, section 3.4). It depends on
// the set of members alone, not on their order, so every balancer makes the same. It never changes.
type Maglev struct {
	owner   []int32 // slot → index of the member, as NewMaglev was given them
	members int
}

// maglevRounds is in how many rounds the members choose their slots. In each round everybody chooses its
// part, so that nobody is left with what the others did not want.
const maglevRounds = 128

// NewMaglev lets members choose their slots. No members make no table.
func NewMaglev(members []Member) *Maglev {
	m := &Maglev{members: len(members)}
	if len(members) == 0 {
		return m
	}
	size := TableSize(len(members))
	choosers := newChoosers(members, size)
	m.owner = make([]int32, size)
	taken := newBitmap(size)
	for round := range maglevRounds {
		for i := range choosers {
			c := &choosers[i]
			for range c.part(round) {
				m.owner[c.choose(taken, size)] = c.index
			}
		}
	}
	return m
}

// Moved is the part of all clients, 0 to 1, that go to another owner by another table. The tables name the owners,
// slot by slot; of different sizes, they are compared where their slots lie on the circle of hashes.
func Moved[T comparable](from, to []T) float64 {
	large, small := from, to
	if len(from) < len(to) {
		large, small = to, from
	}
	if len(small) == 0 {
		return 0
	}
	moved := 0
	for slot := range large {
		if large[slot] != small[(2*slot+1)*len(small)/(2*len(large))] {
			moved++
		}
	}
	return float64(moved) / float64(len(large))
}

// Slots is the size of the table.
func (m *Maglev) Slots() int { return len(m.owner) }

// chooser is a member that chooses slots: it goes round the table from a place of its own in steps of its own.
type chooser struct {
	index    int32
	next     int // slot that it would like now
	step     int
	quota    int // slots that it is to have
	fraction int // of a slot, in parts of maglevRounds, that it is ahead with: or all light ones would choose in one round
	order    uint64
}

// newChoosers makes the members choose in an order that one more or less does not change for the others.
func newChoosers(members []Member, size int) []chooser {
	quotas := quotas(members, size)
	choosers := make([]chooser, len(members))
	for i, m := range members {
		h := mix(hashAddress(m.Address.Addr()) ^ uint64(m.Address.Port())*golden)
		choosers[i] = chooser{
			index: int32(i), quota: quotas[i], order: h,
			next: scale(mix(h+golden), size), step: 1 + scale(mix(h-golden), size-1), fraction: scale(mix(h^golden), maglevRounds),
		}
	}
	slices.SortFunc(choosers, func(a, b chooser) int {
		return cmp.Or(cmp.Compare(a.order, b.order), members[a.index].Address.Compare(members[b.index].Address))
	})
	return choosers
}

// part is how many slots it chooses in a round; over all rounds that is its quota.
func (c *chooser) part(round int) int {
	return (c.quota*(round+1)+c.fraction)/maglevRounds - (c.quota*round+c.fraction)/maglevRounds
}

// choose takes the slot that it likes best of those that are left.
func (c *chooser) choose(taken bitmap, size int) int {
	at := c.next
	for taken.has(at) {
		if at += c.step; at >= size {
			at -= size
		}
	}
	taken.set(at)
	if c.next = at + c.step; c.next >= size {
		c.next -= size
	}
	return at
}

// quotas shares slots out by weight, all of them, and at least one to each.
func quotas(members []Member, size int) []int {
	total := 0
	for _, m := range members {
		total += m.Weight
	}
	out, left := make([]int, len(members)), size
	var order []int // of those who are owed a part of a slot still, the largest first
	for i, m := range members {
		out[i] = size * m.Weight / total
		if out[i] > 0 {
			order = append(order, i)
		}
		out[i] = max(1, out[i])
		left -= out[i]
	}
	rest := func(i int) int { return size * members[i].Weight % total }
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rest(b), rest(a)), members[a].Address.Compare(members[b].Address))
	})
	for i := 0; left > 0; i++ {
		out[order[i]]++
		left--
	}
	for left < 0 { // many got their one slot without deserving it
		out[slices.Index(out, slices.Max(out))]--
		left++
	}
	return out
}

type bitmap []uint64

func newBitmap(size int) bitmap { return make(bitmap, (size+63)/64) }

func (b bitmap) has(i int) bool { return b[i>>6]>>(i&63)&1 != 0 }
func (b bitmap) set(i int)      { b[i>>6] |= 1 << (i & 63) }
