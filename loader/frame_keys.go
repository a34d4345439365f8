package loader

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// flowKey is what a half of a flow is looked up by.
type flowKey struct {
	src, dst netip.AddrPort
	proto    uint8
}

// What a frame's headers say, as far as keys need them.
const (
	etherIPv4, etherIPv6                = 0x0800, 0x86dd
	etherVLAN, etherServiceVLAN         = 0x8100, 0x88a8
	protoICMP, protoTCP, protoUDP       = 1, 6, 17
	protoICMPv6                         = 58
	protoHop, protoRouting, protoOption = 0, 43, 60
	protoFragment                       = 44
)

// frameKeys are the keys that the program may look for on behalf of a frame: of its own ports, and of an ICMP
// message those of the packet that it quotes, turned round. It is generous: what is looked for in vain is no
// harm. It knows nothing of what makes the program leave a frame alone.
func frameKeys(frame []byte) (keys []flowKey) {
	if len(frame) < 14 {
		return nil
	}
	kind := binary.BigEndian.Uint16(frame[12:])
	key, rest, ok := packetKey(frame[14:], kind == etherIPv6)
	if !ok || kind != etherIPv4 && kind != etherIPv6 {
		return nil
	}
	if key.proto != protoICMP && key.proto != protoICMPv6 {
		return []flowKey{key}
	}
	if len(rest) < 8 {
		return nil
	}
	if key, _, ok = packetKey(rest[8:], kind == etherIPv6); ok {
		keys = append(keys, flowKey{key.dst, key.src, key.proto})
	}
	return keys
}

// withoutTags is a frame without the VLAN tags that the program takes off.
func withoutTags(frame []byte) []byte {
	for range 2 {
		if len(frame) < 14+4 {
			break
		}
		if kind := binary.BigEndian.Uint16(frame[12:]); kind != etherVLAN && kind != etherServiceVLAN {
			break
		}
		frame = slices.Concat(frame[:12], frame[16:])
	}
	return frame
}

// packetKey reads the key of an IP packet, and what follows its headers.
func packetKey(b []byte, v6 bool) (key flowKey, rest []byte, ok bool) {
	var src, dst netip.Addr
	if v6 {
		if len(b) < 40 {
			return key, nil, false
		}
		src, dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		key.proto, rest = skipExtensions(b[6], b[40:])
	} else {
		size := 0
		if len(b) >= 20 {
			size = int(b[0]&15) * 4
		}
		if size < 20 || len(b) < size {
			return key, nil, false
		}
		src, dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		key.proto, rest = b[9], b[size:]
	}
	if len(rest) < 4 {
		return key, nil, false
	}
	key.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(rest))
	key.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(rest[2:]))
	return key, rest, true
}

// skipExtensions skips a fragment header, too: of a first fragment it leads to the ports.
func skipExtensions(next uint8, b []byte) (proto uint8, rest []byte) {
	if next, b = skipOptions(next, b); next != protoFragment {
		return next, b
	}
	if len(b) < 8 {
		return next, nil
	}
	return skipOptions(b[0], b[8:])
}

// skipOptions skips the extension headers that any packet may have.
func skipOptions(next uint8, b []byte) (proto uint8, rest []byte) {
	for next == protoHop || next == protoRouting || next == protoOption {
		if len(b) < 8 {
			return next, nil
		}
		size := (int(b[1]) + 1) * 8
		if len(b) < size {
			return next, nil
		}
		next, b = b[0], b[size:]
	}
	return next, b
}
