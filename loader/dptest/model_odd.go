package dptest

import (
	"bytes"
	"net/netip"

	"github.com/headgate/headgate/pkg/packet"
)

// isVIP says whether an address is that of a service, now or before.
func (m *Model) isVIP(a netip.Addr) bool { return m.vips[a] }

// fits says whether a packet may leave by a hop, whole or in fragments.
func (m *Model) fits(p *modelPacket, hop Hop) bool {
	link, known := m.links[hop.Link]
	if hop == (Hop{}) || !known || int(p.bytes) <= link.limit(hop) {
		return true
	}
	p.mtu = link.limit(hop)
	return p.tuple.Src.Addr().Is4() && p.frame[14+6]&0x40 == 0 // may be fragmented
}

// nameMTU is the ICMP error that answers a packet that is too big.
func (p *modelPacket) nameMTU() []packet.Layer {
	if p.tuple.Src.Addr().Is4() {
		return []packet.Layer{&packet.ICMP{Type: 3, Code: 4, Rest: uint32(p.mtu)}, &packet.Data{Bytes: p.frame[14 : 14+68]}}
	}
	return []packet.Layer{&packet.ICMP{V6: true, Type: 2, Rest: uint32(p.mtu)}, &packet.Data{Bytes: p.frame[14 : 14+128]}}
}

// control decides about an ICMP message.
func (m *Model) control(p *modelPacket) Outcome {
	message := p.frame[p.l4:]
	request, reply := uint8(8), uint8(0)
	isError := message[0] == 3 || message[0] == 11 || message[0] == 12
	if p.tuple.Src.Addr().Is6() {
		request, reply = 128, 129
		isError = message[0] >= 1 && message[0] <= 4
	}
	if isError {
		return m.passError(p)
	}
	if message[0] == packet.NeighbourSolicitation && p.tuple.Src.Addr().Is6() && !p.tags.elsewhere() {
		return m.answerSolicitation(p)
	}
	if message[0] != request || message[1] != 0 || p.l4 != p.fixedHeader() || !m.isVIP(p.tuple.Dst.Addr()) || !p.fromAHost() {
		return Outcome{Pass, "not_tcp_udp", p.frame}
	}
	out := bytes.Clone(p.frame)
	copy(out, p.frame[6:12])
	copy(out[6:], p.frame[:6])
	out[p.l4] = reply
	p.turn(out)
	return Outcome{Tx, "echo_answered", out}
}

// turn swaps the addresses of a frame and makes its TTL that of an answer.
func (p *modelPacket) turn(out []byte) {
	src, dst := p.tuple.Src.Addr().AsSlice(), p.tuple.Dst.Addr().AsSlice()
	if len(src) == 4 {
		copy(out[14+12:], dst)
		copy(out[14+16:], src)
		out[14+8] = 64
		return
	}
	copy(out[14+8:], dst)
	copy(out[14+24:], src)
	out[14+7] = 64
}
