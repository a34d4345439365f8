package dptest

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/headgate/headgate/pkg/packet"
)

// modelPacket is what the model reads of a frame.
type modelPacket struct {
	frame   []byte
	ifindex int
	tags    Tags // that came off
	src     netip.Addr
	dst     netip.Addr
	part    *modelPart // nil: not a fragment
	l4      int        // offset of the transport header; 0 in a later fragment
	ttl     uint8
	bytes   uint64 // of the IP packet
	tuple   Tuple
	flags   packet.Flags
	seq     uint32
	ack     uint32
	payload int // bytes of TCP payload
	mtu     int // of the way on, for which the packet is too big
}

func (p *modelPacket) tcp() bool { return p.tuple.Proto == packet.ProtoTCP }

func (p *modelPacket) icmp() bool {
	return p.tuple.Proto == packet.ProtoICMP || p.tuple.Proto == packet.ProtoICMPv6
}

// opens says whether a segment asks for a connection.
func (p *modelPacket) opens() bool {
	return p.flags&(packet.SYN|packet.ACK|packet.RST) == packet.SYN
}

// fixedHeader is where the transport header lies in a packet without options and extensions.
func (p *modelPacket) fixedHeader() int {
	if p.tuple.Src.Addr().Is4() {
		return 14 + 20
	}
	return 14 + 40
}

// parse reads a frame, or says why it is left to the kernel before any table of flows is looked at.
func (m *Model) parse(frame []byte) (*modelPacket, string) {
	p := &modelPacket{frame: frame}
	var reason string
	switch binary.BigEndian.Uint16(frame[12:]) {
	case packet.TypeIPv4:
		reason = m.parseIPv4(p)
	case packet.TypeIPv6:
		reason = m.parseIPv6(p)
	case packet.TypeVLAN, packet.TypeServiceVLAN: // that is still there
		if len(frame) < 14+4 {
			return nil, "truncated"
		}
		return nil, "vlan"
	default:
		return nil, "not_ip"
	}
	if reason != "" {
		return nil, reason
	}
	return p, ""
}

func (m *Model) parseIPv4(p *modelPacket) string {
	ip := p.frame[14:]
	if len(ip) < 20 {
		return "truncated"
	}
	p.src, p.dst = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
	if !m.Admits(p.dst) {
		return "not_ours"
	}
	header, length := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != 4 || header < 20 || length > len(ip) {
		return "truncated"
	}
	p.ttl, p.bytes = ip[8], uint64(length)
	if binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
		p.part = p.partOf4(header)
		return ""
	}
	return p.parseTransport(ip[9], 14+header)
}

func (m *Model) parseIPv6(p *modelPacket) string {
	ip := p.frame[14:]
	if len(ip) < 40 {
		return "truncated"
	}
	p.src, p.dst = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
	if !m.Admits(p.dst) {
		return "not_ours"
	}
	length := 40 + int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || length > len(ip) {
		return "truncated"
	}
	next, l4, reason := skipExtensions(p.frame, 14+40, ip[6])
	if reason != "" {
		return reason
	}
	p.ttl, p.bytes = ip[7], uint64(length)
	if next == packet.ProtoFragment {
		if len(p.frame) < l4+8 {
			return "truncated"
		}
		p.part = p.partOf6(l4 - 14)
		return ""
	}
	return p.parseTransport(next, l4)
}

// skipExtensions walks up to six extension headers, which end within the first 256 bytes of a frame. It
// returns what is behind them and where; that may be a fragment header.
func skipExtensions(frame []byte, at int, first uint8) (next uint8, end int, reason string) {
	next = first
	for range 6 {
		switch next {
		case packet.HopByHop, packet.Routing, packet.DestinationOptions:
		default:
			return next, at, ""
		}
		if len(frame) < at+8 {
			return 0, 0, "truncated"
		}
		if next == packet.Routing && frame[at+3] != 0 {
			return 0, 0, "not_tcp_udp"
		}
		next, at = frame[at], at+(int(frame[at+1])+1)*8
		if at > 256 {
			return 0, 0, "not_tcp_udp"
		}
	}
	return 0, 0, "not_tcp_udp"
}

// parseTransport reads the header at offset l4.
func (p *modelPacket) parseTransport(proto uint8, l4 int) string {
	least := map[uint8]int{packet.ProtoTCP: 20, packet.ProtoUDP: 8, controlProtocol(p.src): 8}[proto]
	end := 14 + int(p.bytes)
	if least == 0 {
		return "not_tcp_udp"
	}
	if l4+least > end {
		return "truncated"
	}
	b := p.frame[l4:]
	p.l4 = l4
	if proto == controlProtocol(p.src) {
		p.tuple = Tuple{proto, netip.AddrPortFrom(p.src, 0), netip.AddrPortFrom(p.dst, 0)}
		return ""
	}
	p.tuple = Tuple{
		proto, netip.AddrPortFrom(p.src, binary.BigEndian.Uint16(b)), netip.AddrPortFrom(p.dst, binary.BigEndian.Uint16(b[2:])),
	}
	if proto == packet.ProtoTCP {
		p.flags = packet.Flags(b[13])
		p.seq, p.ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
		p.payload = end - l4 - int(b[12]>>4)*4
		if b[12]>>4 < 5 || p.payload < 0 {
			return "truncated"
		}
	}
	return ""
}

// controlProtocol is that of ICMP in an address's family.
func controlProtocol(a netip.Addr) uint8 {
	if a.Is4() {
		return packet.ProtoICMP
	}
	return packet.ProtoICMPv6
}

// rewritten is the frame with other addresses and ports and a TTL less by one. Its checksums are
// those that came in.
func (p *modelPacket) rewritten(to Tuple) []byte {
	out := p.readdressed(to)
	binary.BigEndian.PutUint16(out[p.l4:], to.Src.Port())
	binary.BigEndian.PutUint16(out[p.l4+2:], to.Dst.Port())
	return out
}

// readdressed is rewritten without the ports.
func (p *modelPacket) readdressed(to Tuple) []byte {
	out := bytes.Clone(p.frame)
	if to.Src.Addr().Is4() {
		copy(out[14+12:], to.Src.Addr().AsSlice())
		copy(out[14+16:], to.Dst.Addr().AsSlice())
		out[14+8]--
	} else {
		copy(out[14+8:], to.Src.Addr().AsSlice())
		copy(out[14+24:], to.Dst.Addr().AsSlice())
		out[14+7]--
	}
	return out
}

// cut is a rewritten segment as the RST that it becomes. Its TCP checksum is left to be judged by itself.
func (p *modelPacket) cut(out []byte) []byte {
	out = out[:p.l4+20]
	if p.tuple.Src.Addr().Is4() {
		binary.BigEndian.PutUint16(out[14+2:], uint16(len(out)-14))
	} else {
		binary.BigEndian.PutUint16(out[14+4:], uint16(len(out)-14-40))
	}
	tcp := out[p.l4:]
	tcp[12], tcp[13] = 5<<4, byte(packet.RST|p.flags&packet.ACK)
	clear(tcp[14:]) // window, checksum, urgent pointer
	return out
}

// SameButChecksums says whether got is what the model wants. For a packet that is sent on, checksums
// are not compared byte by byte: they must be as right, or as wrong, as those that came in.
func (m *Model) SameButChecksums(in []byte, want Outcome, got []byte) bool {
	_, in = takeOff(in)
	wantTags, wantFrame := takeOff(want.Frame)
	gotTags, got := takeOff(got)
	if gotTags != wantTags {
		return false
	}
	want.Frame = wantFrame
	p, reason := m.parse(in)
	if reason != "" || slices.Equal(want.Frame, got) || len(want.Frame) != len(got) {
		return slices.Equal(want.Frame, got)
	}
	if p.part != nil && p.part.start == 0 && p.parseFirst() != "" {
		return false // it is sent on only if it has ports
	}
	fields := p.checksumFields()
	if want.Reason == "reset_client" {
		// A new checksum: right, whatever came in. The pseudo header's length and protocol are not in wrongness.
		tcp := &fields[0]
		tcp.end = len(got)
		if (wrongness(got, *tcp)+20+packet.ProtoTCP)%0xffff != 0 {
			return false
		}
		copy(got[tcp.offset:tcp.offset+2], want.Frame[tcp.offset:])
		fields = fields[1:]
	}
	for _, f := range fields {
		if wrongness(in, f) != wrongness(got, f) {
			return false
		}
		copy(got[f.offset:f.offset+2], want.Frame[f.offset:])
	}
	return slices.Equal(want.Frame, got)
}

// summed is a checksum field and what it covers.
type summed struct {
	offset, start, end int
	pseudo             []int // further ranges, from and to in turns
	optional           bool
}

func (p *modelPacket) checksumFields() []summed {
	end := 14 + int(p.bytes)
	header := summed{offset: 14 + 10, start: 14, end: 14 + int(p.frame[14]&15)*4}
	if p.l4 == 0 {
		if p.src.Is4() {
			return []summed{header}
		}
		return nil
	}
	field := summed{offset: p.l4 + 16, start: p.l4, end: end}
	switch {
	case p.icmp():
		field.offset = p.l4 + 2
	case !p.tcp():
		field.offset, field.optional = p.l4+6, true
	}
	fields := []summed{field}
	if p.tuple.Src.Addr().Is4() {
		if !p.icmp() {
			fields[0].pseudo = []int{14 + 12, 14 + 20}
		}
		fields = append(fields, header)
	} else {
		fields[0].pseudo = []int{14 + 8, 14 + 40}
	}
	if p.icmp() {
		if q, ok := p.quote(); ok {
			fields = append(fields, q.checksumFields(p.frame)...)
		}
	}
	return fields
}

// wrongness is the one's complement sum of all that a checksum covers and itself, modulo 0xffff: the
// same before and after, whatever else the pseudo header has. -1: there is no checksum.
func wrongness(frame []byte, f summed) int {
	if f.optional && frame[f.offset] == 0 && frame[f.offset+1] == 0 {
		return -1
	}
	sum := 0
	add := func(b []byte) {
		for i, v := range b {
			sum += int(v) << (8 * (1 - i%2))
		}
	}
	add(frame[f.start:f.end])
	for i := 0; i < len(f.pseudo); i += 2 {
		add(frame[f.pseudo[i]:f.pseudo[i+1]])
	}
	return sum % 0xffff
}
