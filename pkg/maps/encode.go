package maps

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
)

var (
	modes     = []lb.Mode{lb.Accept, lb.Reject, lb.Drain, lb.Backup}                      // enum node_mode
	healths   = []lb.Health{lb.Unknown, lb.Up, lb.Down}                                   // enum node_health
	overrides = []lb.Override{lb.OverrideNone, lb.OverrideUp, lb.OverrideDown}            // enum node_override
	protocols = map[lb.Protocol]uint8{lb.TCP: unix.IPPROTO_TCP, lb.UDP: unix.IPPROTO_UDP} // as on the wire
)

// indexOf returns the number of a word in an enum; the zero value stands for the first.
func indexOf[T ~string](values []T, v T) uint8 {
	for i, x := range values {
		if x == v {
			return uint8(i)
		}
	}
	return 0
}

// valueAt is the reverse of indexOf; what is no value of the enum is shown as such.
func valueAt[T ~string](values []T, i uint8) T {
	if int(i) < len(values) {
		return values[i]
	}
	return T(fmt.Sprintf("?%d", i))
}

func decodeProtocol(p uint8) lb.Protocol {
	switch p {
	case unix.IPPROTO_TCP:
		return lb.TCP
	case unix.IPPROTO_UDP:
		return lb.UDP
	}
	return lb.Protocol(fmt.Sprintf("?%d", p))
}

// encodeAddr fills 16 bytes with an address: IPv4 the first four, the rest 0.
func encodeAddr(a netip.Addr) (b [16]byte) {
	if a.Is4() {
		v4 := a.As4()
		copy(b[:], v4[:])
		return b
	}
	if a.IsValid() {
		b = a.As16()
	}
	return b
}

// decodeAddr is the reverse; a family that is neither 4 nor 6 gives the zero Addr.
func decodeAddr(b [16]byte, family uint8) netip.Addr {
	switch family {
	case 4:
		return netip.AddrFrom4([4]byte(b[:4]))
	case 6:
		return netip.AddrFrom16(b)
	}
	return netip.Addr{}
}

// decodeSNAT reads an entry of snats, which has no family: twelve zero bytes at the end make it
// IPv4, because no IPv6 address that packets are sent from looks so.
func decodeSNAT(b [16]byte) netip.Addr {
	switch {
	case b == [16]byte{}:
		return netip.Addr{}
	case bytes.Equal(b[4:], make([]byte, 12)):
		return decodeAddr(b, 4)
	}
	return decodeAddr(b, 6)
}

func familyOf(a netip.Addr) uint8 {
	switch {
	case a.Is4():
		return 4
	case a.IsValid():
		return 6
	}
	return 0
}

// swap16 turns a port between host and network byte order.
func swap16(p uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], p)
	return binary.NativeEndian.Uint16(b[:])
}

func encodeVIP(v VIP) loader.VIPKey {
	return loader.VIPKey{
		Addr:   encodeAddr(v.Addr),
		Port:   swap16(v.Port),
		Proto:  protocols[v.Protocol],
		Family: familyOf(v.Addr),
	}
}

func decodeVIP(k loader.VIPKey) VIP {
	if k.Family == 0 {
		return VIP{}
	}
	v := VIP{Addr: decodeAddr(k.Addr, k.Family), Port: swap16(k.Port)}
	if k.Proto != 0 {
		v.Protocol = decodeProtocol(k.Proto)
	}
	return v
}

func encodeStatus(s Status) loader.NodeStatus {
	return loader.NodeStatus{
		Mode:      indexOf(modes, s.Mode),
		Health:    indexOf(healths, s.Health),
		Override:  indexOf(overrides, s.Override),
		Lifecycle: uint8(s.Lifecycle),
		Actions:   uint8(s.Actions),

		Generation: s.Generation,
	}
}

func decodeStatus(word uint64) Status {
	s := *(*loader.NodeStatus)(unsafe.Pointer(&word))
	return Status{
		Mode:      valueAt(modes, s.Mode),
		Health:    valueAt(healths, s.Health),
		Override:  valueAt(overrides, s.Override),
		Lifecycle: Lifecycle(s.Lifecycle),
		Actions:   Actions(s.Actions),

		Generation: s.Generation,
	}
}

// encodeHop gives the word of struct node: the MAC as it lies on the wire, the link above it.
func encodeHop(h Hop) uint64 {
	var b [8]byte
	copy(b[:], h.MAC[:])
	return binary.LittleEndian.Uint64(b[:]) | uint64(h.Link&0xff)<<48 | uint64(h.Tags)<<56
}

func decodeHop(w uint64) (h Hop) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], w)
	copy(h.MAC[:], b[:6])
	h.Link, h.Tags = uint16(w>>48&0xff), uint8(w>>56)
	return h
}

// encodeMTU gives link_entry.mtu, which packets are compared with.
func encodeMTU(mtu int) uint32 {
	if mtu == 0 {
		return math.MaxUint32
	}
	return uint32(mtu)
}

func decodeMTU(mtu uint32) int {
	if mtu == math.MaxUint32 {
		return 0
	}
	return int(mtu)
}

// Bits of service.word (SERVICE_*).
const (
	serviceLengthShift = 32
	serviceLengthMask  = 1<<24 - 1
	serviceFlagsShift  = 56

	serviceFlagDrop       = 1
	serviceAlgorithmShift = 1
	serviceAlgorithmMask  = 3
	serviceFlagStick      = 8
	serviceFlagThrottle   = 16
	serviceFlagLimited    = 32
)

func encodeServiceWord(w ServiceWord) uint64 {
	flags := uint64(w.Algorithm&serviceAlgorithmMask) << serviceAlgorithmShift
	if w.Drop {
		flags |= serviceFlagDrop
	}
	if w.Stick {
		flags |= serviceFlagStick
	}
	if w.Throttle {
		flags |= serviceFlagThrottle
	}
	if w.Limited {
		flags |= serviceFlagLimited
	}
	return uint64(w.Offset) | uint64(w.Length&serviceLengthMask)<<serviceLengthShift | flags<<serviceFlagsShift
}

func encodeStickPolicy(p StickPolicy, ttl uint32) loader.StickPolicy {
	out := loader.StickPolicy{Ttl: ttl, Tier: p.Tier}
	if p.Slides {
		out.Slides = 1
	}
	return out
}

func decodeServiceWord(x uint64) ServiceWord {
	flags := x >> serviceFlagsShift
	return ServiceWord{
		Offset:    uint32(x),
		Length:    uint32(x >> serviceLengthShift & serviceLengthMask),
		Algorithm: Algorithm(flags >> serviceAlgorithmShift & serviceAlgorithmMask),
		Limited:   flags&serviceFlagLimited != 0,
		Drop:      flags&serviceFlagDrop != 0,
		Stick:     flags&serviceFlagStick != 0,
		Throttle:  flags&serviceFlagThrottle != 0,
	}
}

// cut puts a label into its NUL-padded field.
func cut(label string) (b [32]uint8) {
	copy(b[:], label)
	return b
}

func uncut(b [32]uint8) string {
	n := bytes.IndexByte(b[:], 0)
	if n < 0 {
		n = len(b)
	}
	return string(b[:n])
}

func encodeTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func decodeTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
