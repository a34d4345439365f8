package packet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// Decode reads a frame that starts with an Ethernet header. What it cannot make sense of, because
// it is cut short, contradicts itself or is of an unknown kind, is Data. Encode of the result gives
// the same bytes. The result keeps no part of frame.
func Decode(frame []byte) Packet {
	frame = bytes.Clone(frame)
	p := (&decoder{left: maxLayers}).decodeEthernet(frame)
	if again, err := p.Encode(); err != nil || !bytes.Equal(again, frame) {
		return Packet{&Data{frame}} // no header form for these bytes
	}
	relax(p, frame)
	return p
}

// relax leaves to Encode every field that it would work out just so.
func relax(p Packet, frame []byte) {
	for _, layer := range p {
		for _, field := range layer.autos() {
			given := *field
			*field = Auto{}
			if again, err := p.Encode(); err != nil || !bytes.Equal(again, frame) {
				*field = given
			}
		}
	}
}

// maxLayers bounds the work on a frame that consists of headers; what is deeper is Data.
const maxLayers = 24

type decoder struct {
	left int // layers that may still be read
}

func (d *decoder) enter() bool {
	d.left--
	return d.left >= 0
}

func data(b []byte) Packet {
	if len(b) == 0 {
		return nil
	}
	return Packet{&Data{b}}
}

func (d *decoder) decodeEthernet(b []byte) Packet {
	if len(b) < 14 {
		return data(b)
	}
	kind := binary.BigEndian.Uint16(b[12:])
	e := &Ethernet{Dst: MAC(b), Src: MAC(b[6:]), Type: Give(kind)}
	return append(Packet{e}, d.decodeType(kind, b[14:])...)
}

func (d *decoder) decodeType(kind uint16, b []byte) Packet {
	var p Packet
	if !d.enter() {
		return data(b)
	}
	switch kind {
	case TypeVLAN, TypeServiceVLAN:
		p = d.decodeVLAN(b)
	case TypeIPv4:
		p = d.decodeIPv4(b, true)
	case TypeIPv6:
		p = d.decodeIPv6(b, true)
	case TypeARP:
		p = decodeARP(b)
	}
	if p == nil {
		return data(b)
	}
	return p
}

func (d *decoder) decodeVLAN(b []byte) Packet {
	if len(b) < 4 {
		return nil
	}
	tag, kind := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	v := &VLAN{ID: tag & 0xfff, Priority: uint8(tag >> 13), DEI: tag&(1<<12) != 0, Type: Give(kind)}
	return append(Packet{v}, d.decodeType(kind, b[4:])...)
}

// decodeIPv4 reads a packet, or returns nil. What is beyond its length is padding if outer.
func (d *decoder) decodeIPv4(b []byte, outer bool) Packet {
	if len(b) < 20 || b[0]>>4 != 4 {
		return nil
	}
	size, length := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if size < 20 || size > len(b) || length < size {
		return nil
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	h := &IPv4{
		TOS: b[1], Length: Give(uint16(length)), ID: binary.BigEndian.Uint16(b[4:]),
		Evil: fragment&(1<<15) != 0, DF: fragment&(1<<14) != 0, MF: fragment&(1<<13) != 0, Offset: fragment & 0x1fff,
		TTL: b[8], Protocol: Give(uint16(b[9])), Sum: Give(binary.BigEndian.Uint16(b[10:])),
		Src: netip.AddrFrom4([4]byte(b[12:])), Dst: netip.AddrFrom4([4]byte(b[16:])), Options: b[20:size],
	}
	payload, rest := split(b[size:], length-size, outer)
	p := Packet{h}
	if h.Offset != 0 {
		p = append(p, data(payload)...)
	} else {
		p = append(p, d.decodeProtocol(b[9], payload, false)...)
	}
	return appendPadding(p, rest)
}

// decodeIPv6 reads a packet, or returns nil. What is beyond its length is padding if outer.
func (d *decoder) decodeIPv6(b []byte, outer bool) Packet {
	if len(b) < 40 || b[0]>>4 != 6 {
		return nil
	}
	word := binary.BigEndian.Uint32(b)
	length := binary.BigEndian.Uint16(b[4:])
	h := &IPv6{
		Class: uint8(word >> 20), Flow: word & 0xfffff, Length: Give(length), Next: Give(uint16(b[6])), HopLimit: b[7],
		Src: netip.AddrFrom16([16]byte(b[8:])), Dst: netip.AddrFrom16([16]byte(b[24:])),
	}
	payload, rest := split(b[40:], int(length), outer)
	return appendPadding(append(Packet{h}, d.decodeProtocol(b[6], payload, true)...), rest)
}

// split cuts off what is beyond length, if the packet may be followed by padding.
func split(b []byte, length int, outer bool) (payload, rest []byte) {
	if !outer || length >= len(b) {
		return b, nil
	}
	return b[:length], b[length:]
}

func appendPadding(p Packet, rest []byte) Packet {
	if len(rest) == 0 {
		return p
	}
	return append(p, &Padding{rest})
}

// decodeProtocol reads what an IP header announces.
func (d *decoder) decodeProtocol(proto uint8, b []byte, v6 bool) Packet {
	var p Packet
	if !d.enter() {
		return data(b)
	}
	switch proto {
	case ProtoTCP:
		p = decodeTCP(b)
	case ProtoUDP:
		p = decodeUDP(b)
	case ProtoICMP:
		p = d.decodeICMP(b, false)
	case ProtoICMPv6:
		p = d.decodeICMP(b, true)
	case HopByHop, Routing, DestinationOptions, Authentication:
		if v6 {
			p = d.decodeExtension(proto, b)
		}
	case ProtoFragment:
		if v6 {
			p = d.decodeFragment(b)
		}
	}
	if p == nil {
		return data(b)
	}
	return p
}

func (d *decoder) decodeExtension(kind uint8, b []byte) Packet {
	if len(b) < 2 {
		return nil
	}
	size := (int(b[1]) + 1) * 8
	if kind == Authentication {
		size = (int(b[1]) + 2) * 4
	}
	if size > len(b) {
		return nil
	}
	x := &Extension{Kind: kind, Next: Give(uint16(b[0])), Length: Give(uint16(b[1])), Data: b[2:size]}
	return append(Packet{x}, d.decodeProtocol(b[0], b[size:], true)...)
}

func (d *decoder) decodeFragment(b []byte) Packet {
	if len(b) < 8 {
		return nil
	}
	word := binary.BigEndian.Uint16(b[2:])
	x := &Fragment{
		Next: Give(uint16(b[0])), Reserved: uint16(b[1]) | word>>1&3<<8, Offset: word >> 3, More: word&1 != 0,
		ID: binary.BigEndian.Uint32(b[4:]),
	}
	if x.Offset != 0 {
		return append(Packet{x}, data(b[8:])...)
	}
	return append(Packet{x}, d.decodeProtocol(b[0], b[8:], true)...)
}

func decodeTCP(b []byte) Packet {
	if len(b) < 20 {
		return nil
	}
	size := int(b[12]>>4) * 4
	if size < 20 || size > len(b) {
		return nil
	}
	t := &TCP{
		Src: binary.BigEndian.Uint16(b), Dst: binary.BigEndian.Uint16(b[2:]),
		Seq: binary.BigEndian.Uint32(b[4:]), Ack: binary.BigEndian.Uint32(b[8:]),
		Reserved: b[12] & 15, Flags: Flags(b[13]), Window: binary.BigEndian.Uint16(b[14:]),
		Sum: Give(binary.BigEndian.Uint16(b[16:])), Urgent: binary.BigEndian.Uint16(b[18:]), Options: b[20:size],
	}
	return append(Packet{t}, data(b[size:])...)
}

func decodeUDP(b []byte) Packet {
	if len(b) < 8 {
		return nil
	}
	u := &UDP{
		Src: binary.BigEndian.Uint16(b), Dst: binary.BigEndian.Uint16(b[2:]),
		Length: Give(binary.BigEndian.Uint16(b[4:])), Sum: Give(binary.BigEndian.Uint16(b[6:])),
	}
	return append(Packet{u}, data(b[8:])...)
}

func (d *decoder) decodeICMP(b []byte, v6 bool) Packet {
	if len(b) < 8 {
		return nil
	}
	m := &ICMP{
		V6: v6, Type: b[0], Code: b[1], Sum: Give(binary.BigEndian.Uint16(b[2:])), Rest: binary.BigEndian.Uint32(b[4:]),
	}
	p := Packet{m}
	if v6 && (m.Type == NeighbourSolicitation || m.Type == NeighbourAdvertisement) {
		return append(p, decodeNeighbour(b[8:])...)
	}
	if !isError(v6, m.Type) {
		return append(p, data(b[8:])...)
	}
	quoted := d.decodeIPv4(b[8:], false)
	if v6 {
		quoted = d.decodeIPv6(b[8:], false)
	}
	if quoted == nil {
		quoted = data(b[8:])
	}
	return append(p, quoted...)
}

// isError says whether an ICMP message quotes the packet that provoked it.
func isError(v6 bool, kind uint8) bool {
	if v6 {
		return kind < 128
	}
	switch kind {
	case 3, 4, 5, 11, 12:
		return true
	}
	return false
}
