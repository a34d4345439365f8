package dptest

import (
	"encoding/binary"
	"net/netip"
)

// Guess is where the program keeps its guess of what service is found at an address, port and protocol (IPv4), see
// find_service() of bpf/vip.h.
func (b *Bed) Guess(vip netip.AddrPort, proto uint8) uint32 {
	var port [4]byte
	binary.BigEndian.PutUint16(port[:], vip.Port())
	port[2] = proto
	addr, secret := binary.NativeEndian.Uint32(vip.Addr().AsSlice()), b.secret()
	x := uint64(addr)*secret[0] + uint64(binary.NativeEndian.Uint32(port[:]))*secret[1]
	return uint32(x>>32) & (b.coll.Maps["guesses"].MaxEntries() - 1)
}

// Guesses returns all guesses that are not of service 0, by where they are.
func (b *Bed) Guesses() map[uint32]uint32 {
	all := map[uint32]uint32{}
	for i, service := range readAll[uint32](b, "guesses") {
		if service != 0 {
			all[uint32(i)] = service
		}
	}
	return all
}

// ForgetGuesses makes all guesses those of service 0.
func (b *Bed) ForgetGuesses() { clearAll[uint32](b, "guesses") }
