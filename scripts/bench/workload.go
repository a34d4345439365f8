package main

import (
	"encoding/binary"
	"net/netip"
)

const (
	protoTCP = 6
	protoUDP = 17

	flagSYN = 0x02
	flagACK = 0x10

	frameBytes = 14 + 64

	varyClient = 0
	varyReply  = 1

	// scramble visits all flows of a power of two in an order that no cache foresees.
	scramble = 2654435761

	// The nodes' sequence number in these workloads, for the ACK that establishes a flow.
	nodeSequence = 1000
)

// packet is one kind of packet of a workload; the harness fills in what tells flows apart.
type packet struct {
	src, dst     netip.Addr
	sport, dport uint16
	proto, flags uint8
	seq, ack     uint32
	vary         uint32 // varyClient or varyReply
}

// workload is the harness's instruction for `flows` flows, a power of two, in order or scrambled.
func (p packet) workload(flows uint32, inOrder bool) benchWorkload {
	w := benchWorkload{Mask: flows - 1, Scramble: scramble, Vary: p.vary, PortMin: natPortMin, PortCount: natPortCount}
	if inOrder {
		w.Scramble = 1
	}
	frame := p.frame()
	copy(w.Ethernet[:], frame[:14])
	for i := range w.Template {
		w.Template[i] = binary.NativeEndian.Uint64(frame[14+8*i:])
	}
	header, src, dst := uint32(20), uint32(14+12), uint32(14+16)
	if p.src.Is6() {
		header, src, dst = 40, 14+8+12, 14+24+12
	}
	w.AddressAt, w.PortsAt = src, 14+header
	if p.vary == varyReply {
		w.AddressAt = dst
	}
	w.Ports = binary.NativeEndian.Uint32(frame[w.PortsAt:])
	return w
}

// frame lays the packet out in the bytes of the harness's template. Checksums are left out: the
// program updates them by differences and does not look at their value, but a UDP checksum of 0
// would mean that there is none.
func (p packet) frame() []byte {
	frame := make([]byte, frameBytes)
	copy(frame, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9})
	ip := frame[14:]
	header := 20
	if p.src.Is4() {
		binary.BigEndian.PutUint16(frame[12:], 0x0800)
		ip[0], ip[8], ip[9] = 0x45, 64, p.proto
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		copy(ip[12:], p.src.AsSlice())
		copy(ip[16:], p.dst.AsSlice())
	} else {
		header = 40
		binary.BigEndian.PutUint16(frame[12:], 0x86dd)
		ip[0], ip[6], ip[7] = 0x60, p.proto, 64
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-header))
		copy(ip[8:], p.src.AsSlice())
		copy(ip[24:], p.dst.AsSlice())
	}
	l4 := ip[header:]
	binary.BigEndian.PutUint16(l4, p.sport)
	binary.BigEndian.PutUint16(l4[2:], p.dport)
	if p.proto == protoTCP {
		binary.BigEndian.PutUint32(l4[4:], p.seq)
		binary.BigEndian.PutUint32(l4[8:], p.ack)
		l4[12], l4[13] = 5<<4, p.flags
	} else {
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
		binary.BigEndian.PutUint16(l4[6:], 0x1234)
	}
	return frame
}

// clientPacket comes from a client to the VIP's port 80.
func clientPacket(vip netip.Addr, proto, flags uint8) packet {
	p := packet{src: client4, dst: vip, dport: 80, proto: proto, flags: flags, seq: 1, vary: varyClient}
	if vip.Is6() {
		p.src = client6
	}
	if flags&flagACK != 0 {
		p.ack = nodeSequence + 1
	}
	return p
}

// replyPacket comes from the first node to the ports that NAT took.
func replyPacket(v6 bool, flags uint8) packet {
	p := packet{src: node4, dst: snat4, sport: 8080, proto: protoTCP, flags: flags, seq: nodeSequence, ack: 2, vary: varyReply}
	if v6 {
		p.src, p.dst = node6, snat6
	}
	return p
}
