package packet

import (
	"encoding/binary"
	"net/netip"
)

// Tuple is what a flow is looked up by.
type Tuple struct {
	Protocol uint8
	Src, Dst netip.AddrPort
}

// TupleOf gives the tuple of a packet's TCP or UDP header. Of an ICMP error it is that of packets that go the
// way of the error: the quoted one turned round, of which eight bytes of the transport header suffice. quoted
// says so.
func TupleOf(p Packet) (t Tuple, quoted, ok bool) {
	var src, dst netip.Addr
	var next uint16
	for _, layer := range p {
		switch l := layer.(type) {
		case *IPv4:
			src, dst, next = l.Src, l.Dst, l.Protocol.Value
		case *IPv6:
			src, dst, next = l.Src, l.Dst, l.Next.Value
		case *ICMP:
			quoted = true
		case *TCP:
			t, ok = Tuple{ProtoTCP, netip.AddrPortFrom(src, l.Src), netip.AddrPortFrom(dst, l.Dst)}, true
		case *UDP:
			t, ok = Tuple{ProtoUDP, netip.AddrPortFrom(src, l.Src), netip.AddrPortFrom(dst, l.Dst)}, true
		case *Data:
			if quoted && (next == ProtoTCP || next == ProtoUDP) && len(l.Bytes) >= 4 {
				sport, dport := binary.BigEndian.Uint16(l.Bytes), binary.BigEndian.Uint16(l.Bytes[2:])
				t, ok = Tuple{uint8(next), netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)}, true
			}
		}
		if ok {
			break
		}
	}
	if quoted {
		t.Src, t.Dst = t.Dst, t.Src
	}
	return t, quoted, ok
}
