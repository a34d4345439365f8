package dptest

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/headgate/headgate/pkg/packet"
)

// modelQuote is the packet that an ICMP error quotes.
type modelQuote struct {
	l3, l4, end int // offsets in the frame; end is that of the quote
	tuple       Tuple
}

// quote finds what an error quotes; false: nothing that shows ports.
func (p *modelPacket) quote() (q modelQuote, ok bool) {
	q.l3, q.end = p.l4+8, 14+int(p.bytes)
	ip := p.frame[q.l3:max(q.l3, q.end)]
	var proto uint8
	var src, dst netip.Addr
	if p.tuple.Src.Addr().Is4() {
		if len(ip) < 20 || ip[0]>>4 != 4 || ip[0]&15 < 5 || binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 {
			return q, false
		}
		src, dst, proto = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:])), ip[9]
		q.l4 = q.l3 + int(ip[0]&15)*4
	} else {
		if len(ip) < 40 || ip[0]>>4 != 6 {
			return q, false
		}
		next, l4, reason := skipExtensions(p.frame, q.l3+40, ip[6])
		if reason == "" && next == packet.ProtoFragment {
			if len(p.frame) < l4+8 || binary.BigEndian.Uint16(p.frame[l4+2:])&^7 != 0 {
				return q, false
			}
			next, l4, reason = skipExtensions(p.frame, l4+8, p.frame[l4])
		}
		if reason != "" {
			return q, false
		}
		src, dst, proto = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:])), next
		q.l4 = l4
	}
	if proto != packet.ProtoTCP && proto != packet.ProtoUDP || q.l4+8 > q.end {
		return q, false
	}
	port := func(i int) uint16 { return binary.BigEndian.Uint16(p.frame[q.l4+2*i:]) }
	q.tuple = Tuple{proto, netip.AddrPortFrom(src, port(0)), netip.AddrPortFrom(dst, port(1))}
	return q, true
}

// passError decides about an ICMP error.
func (m *Model) passError(p *modelPacket) Outcome {
	q, ok := p.quote()
	back := q.tuple.reverse()
	forward, reply := m.flows[back], m.replies[back]
	switch {
	case !ok || forward == nil && reply == nil || q.tuple.Src.Addr() != p.tuple.Dst.Addr():
		return Outcome{Pass, "icmp_unknown", p.frame}
	case p.ttl <= 1:
		return Outcome{Pass, "ttl_expired", p.frame}
	case forward != nil:
		return m.sendError(p, q, forward.Out, m.nodes[forward.Node].Hop)
	}
	if q.tuple.Proto == packet.ProtoTCP && p.saysUnreachable() {
		m.failed(reply, Unreachable)
	}
	return m.sendError(p, q, reply.In.reverse(), reply.ReplyHop)
}

// sendError writes an error that goes where a packet with the tuple would, and the quote that it answers.
func (m *Model) sendError(p *modelPacket, q modelQuote, to Tuple, hop Hop) Outcome {
	out := bytes.Clone(p.frame)
	address := func(at int, a netip.Addr) { copy(out[at:], a.AsSlice()) }
	if to.Src.Addr().Is4() {
		address(14+12, to.Src.Addr())
		address(14+16, to.Dst.Addr())
		out[14+8]--
		address(q.l3+12, to.Dst.Addr())
		address(q.l3+16, to.Src.Addr())
	} else {
		address(14+8, to.Src.Addr())
		address(14+24, to.Dst.Addr())
		out[14+7]--
		address(q.l3+8, to.Dst.Addr())
		address(q.l3+24, to.Src.Addr())
	}
	binary.BigEndian.PutUint16(out[q.l4:], to.Dst.Port())
	binary.BigEndian.PutUint16(out[q.l4+2:], to.Src.Port())
	return m.leave(p, out, hop, "icmp_translated")
}

// checksumFields are those of the quote, as far as it reaches.
func (q *modelQuote) checksumFields(frame []byte) (fields []summed) {
	pseudo := []int{q.l3 + 8, q.l3 + 40}
	if q.tuple.Src.Addr().Is4() {
		pseudo = []int{q.l3 + 12, q.l3 + 20}
		fields = []summed{{offset: q.l3 + 10, start: q.l3, end: q.l3 + int(frame[q.l3]&15)*4}}
	}
	field := summed{offset: q.l4 + 16, start: q.l4, end: q.end, pseudo: pseudo}
	if q.tuple.Proto == packet.ProtoUDP {
		field.offset, field.optional = q.l4+6, true
	}
	if field.offset+2 > q.end {
		return fields
	}
	return append(fields, field)
}
