package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Encode returns the frame's bytes. It fails when a layer holds what its header cannot: an address
// of the other family, too many options, a cut or patch beyond the end.
func (p Packet) Encode() ([]byte, error) {
	end := len(p)
	for end > 0 && isEdit(p[end-1]) {
		end--
	}
	frame := []byte{}
	for i := end - 1; i >= 0; i-- {
		at := place{ip: ipBefore(p, i)}
		if i+1 < end {
			at.next = p[i+1]
		}
		var err error
		if frame, err = p[i].encode(at, frame); err != nil {
			return nil, fmt.Errorf("layer %d: %s: %w", i+1, p[i].name(), err)
		}
	}
	for _, edit := range p[end:] {
		var err error
		if frame, err = edit.encode(place{}, frame); err != nil {
			return nil, fmt.Errorf("%s: %w", edit.name(), err)
		}
	}
	return frame, nil
}

// isEdit says whether a layer works on the encoded frame: those are applied last, in order.
func isEdit(layer Layer) bool {
	switch layer.(type) {
	case *Cut, *Patch, *Padding:
		return true
	}
	return false
}

func ipBefore(p Packet, i int) Layer {
	for i--; i >= 0; i-- {
		switch p[i].(type) {
		case *IPv4, *IPv6:
			return p[i]
		}
	}
	return nil
}

func (e *Ethernet) encode(at place, payload []byte) ([]byte, error) {
	b := append(append([]byte{}, e.Dst[:]...), e.Src[:]...)
	b = binary.BigEndian.AppendUint16(b, e.Type.or(typeOf(at.next)))
	return append(b, payload...), nil
}

func (v *VLAN) encode(at place, payload []byte) ([]byte, error) {
	if v.ID > 0xfff || v.Priority > 7 {
		return nil, fmt.Errorf("id %d or priority %d out of range", v.ID, v.Priority)
	}
	tag := uint16(v.Priority)<<13 | v.ID
	if v.DEI {
		tag |= 1 << 12
	}
	b := binary.BigEndian.AppendUint16(nil, tag)
	b = binary.BigEndian.AppendUint16(b, v.Type.or(typeOf(at.next)))
	return append(b, payload...), nil
}

func (h *IPv4) encode(at place, payload []byte) ([]byte, error) {
	if !h.Src.Is4() || !h.Dst.Is4() {
		return nil, fmt.Errorf("%s > %s: want two IPv4 addresses", h.Src, h.Dst)
	}
	options := pad4(h.Options)
	if len(options) > 40 || h.Offset > 0x1fff {
		return nil, fmt.Errorf("%d bytes of options or offset %d out of range", len(options), h.Offset)
	}
	size := 20 + len(options)
	b := make([]byte, 20, size+len(payload))
	b[0] = 0x40 | byte(size/4)
	b[1] = h.TOS
	binary.BigEndian.PutUint16(b[2:], h.Length.or(uint16(size+len(payload))))
	binary.BigEndian.PutUint16(b[4:], h.ID)
	fragment := h.Offset
	for i, flag := range []bool{h.MF, h.DF, h.Evil} {
		if flag {
			fragment |= 1 << (13 + i)
		}
	}
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8] = h.TTL
	b[9] = byte(h.Protocol.or(uint16(protocolOf(at.next, 255))))
	copy(b[12:], h.Src.AsSlice())
	copy(b[16:], h.Dst.AsSlice())
	b = append(b, options...)
	binary.BigEndian.PutUint16(b[10:], h.Sum.or(checksum(b, 0)))
	return append(b, payload...), nil
}

func (h *IPv6) encode(at place, payload []byte) ([]byte, error) {
	if !h.Src.Is6() || !h.Dst.Is6() {
		return nil, fmt.Errorf("%s > %s: want two IPv6 addresses", h.Src, h.Dst)
	}
	if h.Flow > 0xfffff {
		return nil, fmt.Errorf("flow label %#x out of range", h.Flow)
	}
	b := binary.BigEndian.AppendUint32(nil, 6<<28|uint32(h.Class)<<20|h.Flow)
	b = binary.BigEndian.AppendUint16(b, h.Length.or(uint16(len(payload))))
	b = append(b, byte(h.Next.or(uint16(protocolOf(at.next, NoNext)))), h.HopLimit)
	b = append(append(b, h.Src.AsSlice()...), h.Dst.AsSlice()...)
	return append(b, payload...), nil
}

func (x *Extension) encode(at place, payload []byte) ([]byte, error) {
	length := (len(x.Data)+2+7)/8 - 1
	if x.Kind == Authentication {
		length = (len(x.Data)+2+3)/4 - 2
	}
	b := []byte{byte(x.Next.or(uint16(protocolOf(at.next, NoNext)))), byte(x.Length.or(uint16(length)))}
	return append(append(b, x.Data...), payload...), nil
}

func (x *Fragment) encode(at place, payload []byte) ([]byte, error) {
	if x.Offset > 0x1fff || x.Reserved>>8 > 3 {
		return nil, fmt.Errorf("offset %d or reserved bits %#x out of range", x.Offset, x.Reserved)
	}
	b := []byte{byte(x.Next.or(uint16(protocolOf(at.next, NoNext)))), byte(x.Reserved)}
	word := x.Offset<<3 | x.Reserved>>8<<1
	if x.More {
		word |= 1
	}
	b = binary.BigEndian.AppendUint16(b, word)
	b = binary.BigEndian.AppendUint32(b, x.ID)
	return append(b, payload...), nil
}

func (t *TCP) encode(at place, payload []byte) ([]byte, error) {
	options := pad4(t.Options)
	if len(options) > 40 || t.Reserved > 15 {
		return nil, fmt.Errorf("%d bytes of options or reserved bits %#x out of range", len(options), t.Reserved)
	}
	b := binary.BigEndian.AppendUint16(nil, t.Src)
	b = binary.BigEndian.AppendUint16(b, t.Dst)
	b = binary.BigEndian.AppendUint32(b, t.Seq)
	b = binary.BigEndian.AppendUint32(b, t.Ack)
	b = append(b, byte(20+len(options))/4<<4|t.Reserved, byte(t.Flags))
	b = binary.BigEndian.AppendUint16(b, t.Window)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, t.Urgent)
	b = append(append(b, options...), payload...)
	return putSum(b, 16, t.Sum, at.ip, ProtoTCP)
}

func (u *UDP) encode(at place, payload []byte) ([]byte, error) {
	b := binary.BigEndian.AppendUint16(nil, u.Src)
	b = binary.BigEndian.AppendUint16(b, u.Dst)
	b = binary.BigEndian.AppendUint16(b, u.Length.or(uint16(8+len(payload))))
	b = append(append(b, 0, 0), payload...)
	return putSum(b, 6, u.Sum, at.ip, ProtoUDP)
}

func (m *ICMP) encode(at place, payload []byte) ([]byte, error) {
	b := []byte{m.Type, m.Code, 0, 0}
	b = binary.BigEndian.AppendUint32(b, m.Rest)
	b = append(b, payload...)
	if m.V6 {
		return putSum(b, 2, m.Sum, at.ip, ProtoICMPv6)
	}
	return putSum(b, 2, m.Sum, at.ip, ProtoICMP)
}

func (d *Data) encode(_ place, payload []byte) ([]byte, error) {
	return append(append([]byte{}, d.Bytes...), payload...), nil
}

func (d *Padding) encode(_ place, frame []byte) ([]byte, error) {
	return append(frame, d.Bytes...), nil
}

func (c *Cut) encode(_ place, frame []byte) ([]byte, error) {
	if c.Length < 0 || c.Length > len(frame) {
		return nil, fmt.Errorf("to %d bytes: the frame has %d", c.Length, len(frame))
	}
	return frame[:c.Length], nil
}

func (c *Patch) encode(_ place, frame []byte) ([]byte, error) {
	if c.Offset < 0 || c.Offset+len(c.Bytes) > len(frame) {
		return nil, fmt.Errorf("%d bytes at %d: the frame has %d", len(c.Bytes), c.Offset, len(frame))
	}
	copy(frame[c.Offset:], c.Bytes)
	return frame, nil
}

// typeOf is the Ethernet type that announces a layer.
func typeOf(layer Layer) uint16 {
	switch layer.(type) {
	case *VLAN:
		return TypeVLAN
	case *IPv4:
		return TypeIPv4
	case *IPv6:
		return TypeIPv6
	case *ARP:
		return TypeARP
	}
	return 0
}

// protocolOf is the IP protocol that announces a layer, or other.
func protocolOf(layer Layer, other uint8) uint8 {
	switch l := layer.(type) {
	case *TCP:
		return ProtoTCP
	case *UDP:
		return ProtoUDP
	case *ICMP:
		if l.V6 {
			return ProtoICMPv6
		}
		return ProtoICMP
	case *Extension:
		return l.Kind
	case *Fragment:
		return ProtoFragment
	}
	return other
}

func pad4(b []byte) []byte {
	padded := make([]byte, (len(b)+3)/4*4)
	copy(padded, b)
	return padded
}

var errNoIP = errors.New("its checksum needs an IP layer before it")
