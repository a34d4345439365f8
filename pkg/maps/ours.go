package maps

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// OursWords is the size of the bitmap of our addresses (OURS_WORDS).
const OursWords = 1024

// Ours is a bitmap of hashes of addresses. A packet to an address whose bit is not set is not
// ours; a bit too many only costs time.
type Ours [OursWords]uint64

// OursBit returns where an address's bit is: the word and the bit in it. Several addresses may
// share a bit.
func OursBit(a netip.Addr) (word int, bit uint) {
	var x uint64
	if a.Is4() {
		b := a.As4()
		x = uint64(binary.NativeEndian.Uint32(b[:]))
	} else {
		b := a.As16()
		x = binary.NativeEndian.Uint64(b[:8]) ^ binary.NativeEndian.Uint64(b[8:])
	}
	return oursHash(x)
}

// oursHash is the program's ours_bit: the upper 16 bits of a multiplication by 2^64/φ.
func oursHash(x uint64) (word int, bit uint) {
	h := x * 0x9E3779B97F4A7C15 >> 48
	return int(h >> 6), uint(h & 63)
}

// Set sets the bit of an address.
func (o *Ours) Set(a netip.Addr) {
	w, b := OursBit(a)
	o[w] |= 1 << b
}

// Has reports whether the bit of an address is set.
func (o *Ours) Has(a netip.Addr) bool {
	w, b := OursBit(a)
	return o[w]>>b&1 != 0
}

// Count returns how many bits are set.
func (o *Ours) Count() int {
	n := 0
	for _, w := range o {
		n += bits.OnesCount64(w)
	}
	return n
}
