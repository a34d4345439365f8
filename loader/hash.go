package loader

import (
	"encoding/binary"
	"net/netip"
)

// Hash is hash_tuple of bpf/flow_table.h, by which a flow's half is found: see Buckets.
func (m *Meta) Hash(src, dst netip.AddrPort, proto uint8) uint64 {
	s0, s1, s2 := m.Secret[0], m.Secret[1], m.Secret[2]
	var ports [4]byte
	binary.BigEndian.PutUint16(ports[:], src.Port())
	binary.BigEndian.PutUint16(ports[2:], dst.Port())
	word := uint64(binary.NativeEndian.Uint32(ports[:])) | uint64(proto)<<32
	half := func(a netip.Addr, at int) uint64 {
		var b [16]byte
		copy(b[:], a.AsSlice())
		return binary.NativeEndian.Uint64(b[at:])
	}

	var x uint64
	if src.Addr().Is4() {
		x = (half(src.Addr(), 0)|half(dst.Addr(), 0)<<32)*s0 + word*s1
	} else {
		x = half(src.Addr(), 0)*s0 + half(src.Addr(), 8)*s1
		x ^= x >> 32
		x = (x + half(dst.Addr(), 0)) * s2
		x ^= x >> 31
		x = (x+half(dst.Addr(), 8))*s0 + word*s1
	}
	x ^= x >> 32
	x *= s2
	return x ^ x>>29
}

// Buckets are the two of a table of n, a power of two, that a half with this hash may be in, the preferred one
// first.
func Buckets(hash uint64, n uint32) (first, second uint32) {
	return uint32(hash) & (n - 1), uint32(hash>>24) & (n - 1)
}
