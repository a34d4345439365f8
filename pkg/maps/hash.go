package maps

import (
	"encoding/binary"

	"github.com/headgate/headgate/loader"
)

// hashTuple is hash_tuple of bpf/flow_table.h: where a key belongs, and its tag.
func hashTuple(meta *loader.Meta, t tuple, proto uint8) uint64 {
	s0, s1, s2 := meta.Secret[0], meta.Secret[1], meta.Secret[2]
	word := uint64(swap16(t.src.Port())) | uint64(swap16(t.dst.Port()))<<16 | uint64(proto)<<32
	src, dst := encodeAddr(t.src.Addr()), encodeAddr(t.dst.Addr())
	half := func(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

	var x uint64
	if t.src.Addr().Is4() {
		x = (half(src[:8])|half(dst[:8])<<32)*s0 + word*s1
	} else {
		x = half(src[:8])*s0 + half(src[8:])*s1
		x ^= x >> 32
		x = (x + half(dst[:8])) * s2
		x ^= x >> 31
		x = (x+half(dst[8:]))*s0 + word*s1
	}
	x ^= x >> 32
	x *= s2
	return x ^ x>>29
}

func tagOf(hash uint64) uint16 { return uint16(hash>>48) | 1 }

// candidates are the two buckets that a key may be in; the number of buckets is a power of two.
func candidates(hash uint64, buckets uint32) (first, second uint32) {
	return uint32(hash) & (buckets - 1), uint32(hash>>24) & (buckets - 1)
}
