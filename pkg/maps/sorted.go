package maps

import (
	"cmp"
	"iter"
	"slices"
	"sync"
)

// FlowOrder is what flows are sorted by, the greatest first.
type FlowOrder uint8

// Orders.
const (
	ByBytes   FlowOrder = iota // of both directions
	ByPackets                  // of both directions
	ByAge
	ByIdle
)

// FlowOrders are all of them.
var FlowOrders = []FlowOrder{ByBytes, ByPackets, ByAge, ByIdle}

// key is the greater, the earlier a flow comes.
func (o FlowOrder) key(f *Flow) uint64 {
	switch o {
	case ByBytes:
		return f.BytesIn + f.BytesOut
	case ByPackets:
		return uint64(f.PacketsIn) + uint64(f.PacketsOut)
	case ByAge:
		return uint64(f.Age)
	}
	return uint64(f.Idle)
}

// ranked is a flow's place in an order: few bytes, since there may be millions.
type ranked struct {
	key    uint64
	ref    uint32
	family uint8
}

// FlowsBy yields the flows that match in an order, at most limit of them (0: all). They are ranked first
// and read again then, ahead of who takes them: what is shown may have moved on a little since it was ranked.
func (r *Reader) FlowsBy(q FlowFilter, order FlowOrder, limit int) iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		now := jiffiesAt(&r.meta, r.clock())
		tables := r.families(q.Family)
		var parts [][]ranked
		for i, t := range tables {
			parts = append(parts, r.rank(t, uint8(i), &q, order, now)...)
		}
		all := slices.Concat(parts...)
		sortRanks(all)
		shown := 0
		inChunks(uint32(len(all)), func(first, last uint32) *[]Flow {
			batch := batches.Get().(*[]Flow)
			*batch = (*batch)[:0]
			for _, place := range all[first:last] {
				if f, ok := r.flowAt(tables[place.family], place.ref, &q, now); ok {
					*batch = append(*batch, f)
				}
			}
			return batch
		}, func(batch *[]Flow) bool {
			defer batches.Put(batch)
			for i := range *batch {
				if limit > 0 && shown == limit || !yield((*batch)[i]) {
					return false
				}
				shown++
			}
			return true
		})
	}
}

// earlier compares two places; no two flows have the same.
func earlier(a, b ranked) int {
	switch {
	case a.key != b.key:
		return cmp.Compare(b.key, a.key)
	case a.family != b.family:
		return cmp.Compare(a.family, b.family)
	}
	return cmp.Compare(a.ref, b.ref)
}

// sortRanks sorts halves side by side, on all processors, and merges them.
func sortRanks(all []ranked) {
	if len(all) < sortAlone {
		slices.SortFunc(all, earlier)
		return
	}
	left, right := all[:len(all)/2], all[len(all)/2:]
	var other sync.WaitGroup
	other.Go(func() { sortRanks(right) })
	sortRanks(left)
	other.Wait()
	left = slices.Clone(left)
	for to := 0; len(left) > 0; to++ { // what is left of the right half is in its place
		if len(right) > 0 && earlier(right[0], left[0]) < 0 {
			all[to], right = right[0], right[1:]
		} else {
			all[to], left = left[0], left[1:]
		}
	}
}

// sortAlone is how many are sorted sooner by one processor than by two.
const sortAlone = 1 << 15

// rank answers the places of a table's flows, a part for each chunk.
func (r *Reader) rank(t flowTable, family uint8, q *FlowFilter, order FlowOrder, now uint32) (parts [][]ranked) {
	s := t.shape()
	raw := q.raw(&s)
	if raw.nothing {
		return nil
	}
	inChunks(s.buckets, func(first, last uint32) (some []ranked) {
		s.scan(first, last, &raw, func(ref, _ uint32, _ FlowClass) bool {
			if f, ok := r.flowAt(t, ref, q, now); ok {
				some = append(some, ranked{order.key(&f), ref, family})
			}
			return true
		})
		return some
	}, func(some []ranked) bool {
		if len(some) > 0 {
			parts = append(parts, some)
		}
		return true
	})
	return parts
}
