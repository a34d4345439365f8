package dptest

import (
	"bytes"
	"net/netip"
)

// isVIP says whether an address is that of a service, now or before.
func (m *Model) isVIP(a netip.Addr) bool { return m.vips[a] }

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
