package maps

import (
	"iter"
	"net/netip"
)

// families are the flow tables that a filter asks for.
func (m *memory) families(family int) []buckets {
	switch family {
	case 4:
		return []buckets{family4(m.flows4)}
	case 6:
		return []buckets{family6(m.flows6)}
	}
	return []buckets{family4(m.flows4), family6(m.flows6)}
}

// Flows yields the flows that match, in no order. Packets go on meanwhile: a flow that comes or
// goes may be missed, none is shown half old and half new.
func (r *Reader) Flows(q FlowFilter) iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		now := jiffiesAt(&r.meta, r.clock())
		for _, t := range r.families(q.Family) {
			if !halves(t, func(h half) bool {
				if !h.forward() {
					return true
				}
				f := r.flow(&h, now)
				if !q.matches(&f) || !r.join(t, &f, &h, now) {
					return true
				}
				return yield(f)
			}) {
				return
			}
		}
	}
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
		halves(t, func(h half) bool {
			if !h.forward() {
				return true
			}
			if f := r.flow(&h, h.common.Seen); q.matches(&f) {
				counts[FlowKind{f.NodeID, f.Class}]++
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
			}
			return true
		})
	}
	return u, nil
}
