package netdev

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// attributes goes over the attributes of a netlink message (struct rtattr), and ends at the first that is
// cut off. The library's own parser panics where the padding after the last is missing.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			if size < unix.SizeofRtAttr || size > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:]), b[unix.SizeofRtAttr:size]) {
				return
			}
			padded := (size + unix.RTA_ALIGNTO - 1) &^ (unix.RTA_ALIGNTO - 1)
			b = b[min(padded, len(b)):]
		}
	}
}
