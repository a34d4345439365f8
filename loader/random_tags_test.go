package loader_test

import (
	"encoding/binary"
	"slices"

	"github.com/headgate/headgate/pkg/packet"
)

// tagged gives every third frame VLAN tags, of any kind and up to three; now and then it is cut short among them.
func (w *world) tagged(frame []byte) []byte {
	if w.rnd.IntN(3) > 0 || len(frame) < 14 {
		return frame
	}
	out := slices.Clone(frame[:12])
	for range pick(w.rnd, []int{1, 1, 1, 2, 2, 3}) {
		out = binary.BigEndian.AppendUint16(out, pick(w.rnd, []uint16{packet.TypeVLAN, packet.TypeServiceVLAN}))
		out = binary.BigEndian.AppendUint16(out, pick(w.rnd, []uint16{0, 0xa000, 7, 0x6007, 0x1007, 0x1fff}))
	}
	tags := len(out)
	out = append(out, frame[12:]...)
	if w.rnd.IntN(30) == 0 {
		out = out[:14+w.rnd.IntN(tags-12)]
	}
	return out
}
