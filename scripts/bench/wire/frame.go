package main

import (
	"encoding/binary"
	"fmt"

	"github.com/headgate/headgate/pkg/packet"
)

const (
	frameBytes = 60
)

// frame is what a client sends by the interface, without what varies: the last two bytes of its address, and its port.
func (b *bed) frame(r row) []byte {
	head := fmt.Sprintf("eth %v > %v\nipv4 %v > %v\n", b.clientMAC, b.inMAC, clients.Addr(), r.to)
	if r.syn {
		return packet.MustEncode(head + fmt.Sprintf("tcp 0 > %d S seq 1\npadding 6*00\n", vipPort))
	}
	return packet.MustEncode(head + fmt.Sprintf("udp 0 > %d\ndata 18*61\n", vipPort))
}

// stream lays a row's frame out as the generator wants it, for so many packets of flows from the first on.
func (b *bed) stream(r row, first, flows, packets uint32) wireStream {
	frame := b.frame(r)
	s := wireStream{Flows: flows, First: first, Packets: packets}
	ip, l4, check := frame[14:34], frame[34:], 6
	if r.syn {
		s.Tcp, l4, check = 1, frame[34:54], 16
	}
	// The generator puts its own sums there.
	clear(ip[10:12])
	clear(l4[check : check+2])
	s.IpSum, s.L4Sum = sum(ip), sum(l4)+sum(ip[12:])
	s.L4Sum += sum([]byte{0, ip[9]}) + sum(binary.BigEndian.AppendUint16(nil, uint16(len(l4))))
	copyWords(s.Ethernet[:], frame[:14])
	copyWords(s.Ip[:], frame[14:])
	return s
}

// sum adds 16-bit words up as they lie in memory.
func sum(b []byte) (sum uint32) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.NativeEndian.Uint16(b))
	}
	return sum
}

func copyWords(to []uint64, from []byte) {
	padded := make([]byte, 8*len(to))
	copy(padded, from)
	for i := range to {
		to[i] = binary.NativeEndian.Uint64(padded[8*i:])
	}
}
