package loader_test

import (
	"net/netip"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// runDatagram runs the fragments of a datagram, now and then with one missing, twice, out of order or otherwise
// amiss, and with other steps between them. It says whether both still agree.
func (w *world) runDatagram() bool {
	tuple, _ := w.tuple()
	tuple.Proto = pick(w.rnd, []uint8{packet.ProtoUDP, packet.ProtoUDP, packet.ProtoTCP})
	if w.rnd.IntN(8) == 0 {
		tuple.Dst = netip.AddrPortFrom(tuple.Dst.Addr(), 81) // for the kernel
	}
	var frames [][]byte
	id, offset, parts := uint16(w.rnd.IntN(4)), 0, 2+w.rnd.IntN(4)
	for i := range parts {
		units := 3 + w.rnd.IntN(3)
		frames = append(frames, w.part(tuple, id, offset, units, i == parts-1))
		offset += units
		if w.rnd.IntN(12) == 0 {
			offset += w.rnd.IntN(5) - 2
		}
	}
	if w.rnd.IntN(3) == 0 {
		w.rnd.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	}
	if w.rnd.IntN(3) == 0 {
		frames = append(frames, pick(w.rnd, frames))
	}
	for _, frame := range frames {
		if w.rnd.IntN(10) == 0 && !w.change() {
			return false
		}
		if !w.runPacket(w.tagged(frame), pick(w.rnd, []int{dptest.Front, dptest.Back})) {
			return false
		}
	}
	return true
}

// part is a fragment, in units of eight bytes.
func (w *world) part(t dptest.Tuple, id uint16, offset, units int, last bool) []byte {
	bytes := 8 * units
	if last || w.rnd.IntN(20) == 0 {
		bytes -= w.rnd.IntN(8)
	}
	p := packet.Packet{&packet.Ethernet{Src: packet.MAC{2, 0, 0, 0, 2, 1}, Dst: packet.MAC{2, 0, 0, 0, 0, 2}}}
	next := packet.Give(uint16(t.Proto))
	if t.Src.Addr().Is4() {
		p = append(p, &packet.IPv4{
			Src: t.Src.Addr(), Dst: t.Dst.Addr(), TTL: pick(w.rnd, []uint8{64, 64, 64, 1}), ID: id, MF: !last, Offset: uint16(offset),
			DF: w.rnd.IntN(8) == 0, Protocol: next,
		})
	} else {
		p = append(p, &packet.IPv6{Src: t.Src.Addr(), Dst: t.Dst.Addr(), HopLimit: 64},
			&packet.Fragment{ID: uint32(id), More: !last, Offset: uint16(offset), Next: next})
	}
	if offset == 0 {
		header, size := packet.Layer(&packet.UDP{Src: t.Src.Port(), Dst: t.Dst.Port()}), 8
		if t.Proto == packet.ProtoTCP {
			header, size = &packet.TCP{Src: t.Src.Port(), Dst: t.Dst.Port(), Flags: pick(w.rnd, []packet.Flags{packet.SYN, packet.ACK})}, 20
		}
		p, bytes = append(p, header), max(0, bytes-size)
	}
	frame, err := append(p, &packet.Data{Bytes: make([]byte, bytes)}).Encode()
	if err != nil {
		w.t.Fatalf("random fragment: %v\n%s", err, p)
	}
	return frame
}
