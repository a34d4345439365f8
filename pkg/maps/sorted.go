package maps

import (
	"cmp"
	"iter"
	"slices"
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
// and read again then: what is shown may have moved on a little since it was ranked.
func (r *Reader) FlowsBy(q FlowFilter, order FlowOrder, limit int) iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		now := jiffiesAt(&r.meta, r.clock())
		tables := r.families(q.Family)
		var all []ranked
		for i, t := range tables {
			all = append(all, r.rank(t, uint8(i), &q, order, now)...)
		}
		slices.SortFunc(all, func(a, b ranked) int {
			return cmp.Or(cmp.Compare(b.key, a.key), cmp.Compare(a.family, b.family), cmp.Compare(a.ref, b.ref))
		})
		shown := 0
		for _, place := range all {
			if limit > 0 && shown == limit {
				return
			}
			if f, ok := r.flowAt(tables[place.family], place.ref, &q, now); ok {
				shown++
				if !yield(f) {
					return
				}
			}
		}
	}
}

func (r *Reader) rank(t flowTable, family uint8, q *FlowFilter, order FlowOrder, now uint32) (all []ranked) {
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
		all = append(all, some...)
		return true
	})
	return all
}
