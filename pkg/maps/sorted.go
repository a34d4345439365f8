package maps

import (
	"iter"
	"slices"
	"sync"

	"github.com/headgate/headgate/loader"
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
func (o FlowOrder) key(forward, reply *loader.Half, now uint32) uint64 {
	switch o {
	case ByBytes:
		return forward.Bytes + reply.Bytes
	case ByPackets:
		return uint64(forward.Packets) + uint64(reply.Packets)
	case ByAge:
		return uint64(passed(born(forward), now))
	}
	return uint64(min(passed(forward.Seen, now), passed(reply.Seen, now)))
}

// ranked is a flow's place in an order: few bytes, since there may be millions.
type ranked struct {
	key uint64
	place
}

// FlowsBy yields the flows that match in an order, at most limit of them (0: all). They are ranked first, by no
// more than the order needs, and read then, ahead of who takes them: what is shown may have moved on a little since
// it was ranked.
func (r *Reader) FlowsBy(q FlowFilter, order FlowOrder, limit int) iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		l := r.look(&q)
		var parts [][]ranked
		for family := range l.tables {
			parts = append(parts, l.rank(uint8(family), order)...)
		}
		all := sorted(parts)
		shown := 0
		inChunks(uint32(len(all)), func(first, last uint32) *[]Flow {
			read := l.reading()
			for i := range all[first:last] {
				read.add(all[first:last][i].place)
			}
			return read.done()
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

// rank answers the places of a table's flows, a part for each chunk.
func (l *flowLook) rank(family uint8, order FlowOrder) (parts [][]ranked) {
	s := &l.shapes[family]
	raw := l.q.raw(s)
	if raw.nothing {
		return nil
	}
	inChunks(s.buckets, func(first, last uint32) []ranked {
		batch := rankBatches.Get().(*[]ranked)
		defer rankBatches.Put(batch)
		some := (*batch)[:0]
		var forwards [lookAhead]loader.Half
		var refs [lookAhead]uint32
		n := 0
		flush := func() {
			for i, ref := range refs[:n] {
				f := &forwards[i]
				reply := loader.Half{Seen: f.Seen}
				if order != ByAge {
					if h := s.common(f.Peer); h.Peer == ref {
						reply = h
					}
				}
				some = append(some, ranked{order.key(f, &reply, l.now), place{ref, family}})
			}
			n = 0
		}
		s.scan(first, last, &raw, func(ref, _ uint32, _ FlowClass) bool {
			refs[n], forwards[n] = ref, s.common(ref)
			if n++; n == lookAhead {
				flush()
			}
			return true
		})
		flush()
		*batch = some
		return slices.Clone(some)
	}, func(some []ranked) bool {
		if len(some) > 0 {
			parts = append(parts, some)
		}
		return true
	})
	return parts
}

// rankBatches are used again, as batches are.
var rankBatches = sync.Pool{New: func() any { return new([]ranked) }}

// sorted puts parts together, the greatest keys first and equal ones as they come; it may write over the parts. It
// counts how many keys have each value of a byte and moves each to its place by that, from the lowest byte to the
// highest: a few passes over a million, and no comparison, of which the processor would guess every other one wrong.
func sorted(parts [][]ranked) []ranked {
	var counts [8][256]uint32
	n := 0
	for _, part := range parts {
		for i := range part {
			for b := range counts {
				counts[b][^byte(part[i].key>>(8*b))]++
			}
		}
		n += len(part)
	}
	to := make([]ranked, n)
	for b := range counts {
		places, sum := &counts[b], uint32(0)
		alike := false // all keys are, in this byte
		for v, count := range places {
			alike = alike || int(count) == n
			places[v] = sum
			sum += count
		}
		if alike {
			continue
		}
		for _, part := range parts {
			for i := range part {
				at := &places[^byte(part[i].key>>(8*b))]
				to[*at] = part[i]
				*at++
			}
		}
		if len(parts) > 1 {
			parts, to = [][]ranked{to}, make([]ranked, n)
		} else {
			parts[0], to = to, parts[0]
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return slices.Concat(parts...)
}
