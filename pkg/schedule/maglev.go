package schedule

import (
	"cmp"
	"net/netip"
	"slices"
)

// Member is a node of a config as far as its clients' places are concerned. There may be 65,536.
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
	owner []uint16 // slot → index of the member, as NewMaglev was given them
}

// maglevRounds is in how many rounds the members choose their slots. In each round everybody chooses its
// part, so that nobody is left with what the others did not want.
const maglevRounds = 128

// NewMaglev lets members choose their slots. No members make no table.
func NewMaglev(members []Member) *Maglev {
	m := &Maglev{}
	if len(members) == 0 {
		return m
	}
	size := TableSize(len(members))
	choosers := newChoosers(members, size)
	m.owner = make([]uint16, size)
	v := vacancies{size: size, left: size, taken: newBitmap(size)}
	for round := range maglevRounds {
		for i := range choosers {
			c := &choosers[i]
			for range c.part(round) {
				m.owner[v.choose(c)] = c.index
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
// Thousands of them are visited in turn, so they are small.
type chooser struct {
	index    uint16
	fraction uint16 // of a slot, in parts of maglevRounds, that it is ahead with: or all light ones would choose in one round
	next     int32  // slot that it would like now
	step     int32
	quota    int32 // slots that it is to have
}

// newChoosers makes the members choose in an order that one more or less does not change for the others.
func newChoosers(members []Member, size int) []chooser {
	hashes, order := make([]uint64, len(members)), make([]int, len(members))
	for i, m := range members {
		hashes[i], order[i] = mix(hashAddress(m.Address.Addr())^uint64(m.Address.Port())*golden), i
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := cmp.Compare(hashes[a], hashes[b]); c != 0 {
			return c
		}
		return members[a].Address.Compare(members[b].Address)
	})
	quotas := quotas(members, size)
	choosers := make([]chooser, len(members))
	for place, i := range order {
		h := hashes[i]
		choosers[place] = chooser{
			index: uint16(i), quota: int32(quotas[i]), fraction: uint16(scale(mix(h^golden), maglevRounds)),
			next: int32(scale(mix(h+golden), size)), step: int32(1 + scale(mix(h-golden), size-1)),
		}
	}
	return choosers
}

// part is how many slots it chooses in a round; over all rounds that is its quota.
func (c *chooser) part(round int) int {
	quota, fraction := uint(c.quota), uint(c.fraction)
	return int((quota*uint(round+1)+fraction)/maglevRounds - (quota*uint(round)+fraction)/maglevRounds)
}

// quotas shares slots out by weight, all of them, and at least one to each.
func quotas(members []Member, size int) []int {
	total := 0
	for _, m := range members {
		total += m.Weight
	}
	out, left := make([]int, len(members)), size
	order := make([]int, 0, len(members)) // of those who are owed a part of a slot still, the largest first
	rest := make([]int, len(members))
	for i, m := range members {
		out[i], rest[i] = size*m.Weight/total, size*m.Weight%total
		if out[i] > 0 {
			order = append(order, i)
		}
		out[i] = max(1, out[i])
		left -= out[i]
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := cmp.Compare(rest[b], rest[a]); c != 0 {
			return c
		}
		return members[a].Address.Compare(members[b].Address)
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
