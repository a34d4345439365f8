package maps

import (
	"iter"
	"net/netip"
	"sync"
	"time"
)

// families are the flow tables that a filter asks for.
func (m *memory) families(family int) []flowTable {
	switch family {
	case 4:
		return []flowTable{family4(m.flows4)}
	case 6:
		return []flowTable{family6(m.flows6)}
	}
	return []flowTable{family4(m.flows4), family6(m.flows6)}
}

// Flows yields the flows that match, in no order. Packets go on meanwhile: a flow that comes or
// goes may be missed, none is shown half old and half new. Several processors read at a time.
func (r *Reader) Flows(q FlowFilter) iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		l := r.look(&q)
		for family := range l.tables {
			if !l.flowsOf(uint8(family), yield) {
				return
			}
		}
	}
}

// batches are used again: a million flows would leave some hundred megabytes behind.
var batches = sync.Pool{New: func() any { return new([]Flow) }}

func (l *flowLook) flowsOf(family uint8, yield func(Flow) bool) bool {
	s := &l.shapes[family]
	raw := l.q.raw(s)
	if raw.nothing {
		return true
	}
	return inChunks(s.buckets, func(first, last uint32) *[]Flow {
		read := l.reading()
		s.scan(first, last, &raw, func(ref, _ uint32, _ FlowClass) bool {
			read.add(place{ref, family})
			return true
		})
		return read.done()
	}, func(batch *[]Flow) bool {
		defer batches.Put(batch)
		for i := range *batch {
			if !yield((*batch)[i]) {
				return false
			}
		}
		return true
	})
}

// flowAt reads the flow whose forward half is in a slot, if the filter still selects it.
func (r *Reader) flowAt(t buckets, ref uint32, q *FlowFilter, now uint32) (Flow, bool) {
	h, ok := readHalf(t, ref)
	if !ok || !h.forward() {
		return Flow{}, false
	}
	f := r.flow(&h, now)
	return f, q.matches(&f) && r.join(t, &f, &h, now)
}

// OldestFlows tells the age of the oldest active flow of each of these nodes; a node without one is left out.
func (r *Reader) OldestFlows(nodes map[uint32]bool) map[uint32]time.Duration {
	oldest := map[uint32]time.Duration{}
	for f := range r.Flows(FlowFilter{Nodes: nodes}) {
		if age, known := oldest[f.NodeID]; f.Class.Counted() && (!known || f.Age > age) {
			oldest[f.NodeID] = f.Age
		}
	}
	return oldest
}

// FlowKind is a node and a class of its flows.
type FlowKind struct {
	NodeID uint32
	Class  FlowClass
}

// CountFlows counts the flows that match, by node and class. It reads one half of each flow and so
// is much faster than Flows.
func (r *Reader) CountFlows(q FlowFilter) map[FlowKind]uint64 {
	counts := map[FlowKind]uint64{}
	for _, t := range r.families(q.Family) {
		s := t.shape()
		raw := q.raw(&s)
		if raw.nothing {
			continue
		}
		inChunks(s.buckets, func(first, last uint32) map[FlowKind]uint64 {
			some := map[FlowKind]uint64{}
			var kind FlowKind
			run := uint64(0) // of one kind: neighbours often are
			s.scan(first, last, &raw, func(_, node uint32, class FlowClass) bool {
				if next := (FlowKind{node, class}); next != kind {
					some[kind] += run
					kind, run = next, 0
				}
				run++
				return true
			})
			some[kind] += run
			return some
		}, func(some map[FlowKind]uint64) bool {
			for kind, n := range some {
				if n > 0 {
					counts[kind] += n
				}
			}
			return true
		})
	}
	return counts
}

// flow is what a forward half alone tells.
func (m *memory) flow(h *half, now uint32) Flow {
	return Flow{
		Protocol:  decodeProtocol(h.proto),
		Class:     h.class(),
		Client:    h.key.src,
		VIP:       h.key.dst,
		Source:    h.nat.src,
		Node:      h.nat.dst,
		NodeID:    h.common.Node,
		Age:       m.since(h.born(), now),
		Idle:      m.since(h.common.Seen, now),
		PacketsIn: h.common.Packets,
		BytesIn:   h.common.Bytes,
	}
}

// join adds what the reply half tells. It reports false when the flow was closed meanwhile; a half
// whose peer is not its peer is a broken table, which Check names, and is shown as it is.
func (m *memory) join(t buckets, f *Flow, h *half, now uint32) bool {
	for range readTries {
		reply, ok := readHalf(t, h.common.Peer)
		if ok && reply.common.Peer == h.ref && !reply.forward() {
			f.Idle = min(f.Idle, m.since(reply.common.Seen, now))
			f.PacketsOut, f.BytesOut = reply.common.Packets, reply.common.Bytes
			return true
		}
		again, ok := readHalf(t, h.ref)
		if !ok || again.key != h.key || again.born() != h.born() {
			return false
		}
	}
	return true
}

// InUse implements Tables.
func (s *store) InUse() (*Usage, error) {
	u := &Usage{Nodes: make([]uint64, (len(s.nodes)+63)/64)}
	for _, t := range s.families(0) {
		var last netip.Addr
		halves(t, func(h half) bool {
			if int(h.common.Node/64) < len(u.Nodes) {
				u.Nodes[h.common.Node/64] |= 1 << (h.common.Node % 64)
			}
			if h.forward() {
				u.Ours.Set(h.nat.src.Addr())
				if vip := h.key.dst.Addr(); vip != last {
					u.Ours.Set(vip)
					last = vip
				}
			} else if hop := decodeHop(h.common.Own.Hop); hop.Resolved() && int(hop.Link/64) < len(u.Links) {
				u.Links[hop.Link/64] |= 1 << (hop.Link % 64)
				u.Tags[hop.Tags/64] |= 1 << (hop.Tags % 64)
			}
			return true
		})
	}
	return u, nil
}
