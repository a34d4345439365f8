package schedule

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// golden and mix are those of the data path (bpf/table.h).
const golden = 0x9e3779b97f4a7c15

// mix moves half of the result's bits for each bit of x; it is the last step of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// scale maps a hash to a number below n, evenly.
func scale(hash uint64, n int) int {
	high, _ := bits.Mul64(hash, uint64(n))
	return int(high)
}

// hashAddress is the hash of an address; that of a client is the data path's.
func hashAddress(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return mix(uint64(binary.LittleEndian.Uint32(b[:])) + golden)
	}
	b := a.As16()
	return mix((mix(binary.LittleEndian.Uint64(b[:])+golden) ^ binary.LittleEndian.Uint64(b[8:])) + golden)
}

// SlotOf is the slot of a table of so many that a client's flows go by. The client's address alone decides, and
// every balancer finds the same.
func SlotOf(client netip.Addr, slots int) int {
	return int(hashAddress(client) >> 32 * uint64(slots) >> 32)
}
