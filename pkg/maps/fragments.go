package maps

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"github.com/headgate/headgate/loader"
)

const fragmentBytes = uint64(unsafe.Sizeof(loader.FragmentKey{}) + unsafe.Sizeof(loader.Fragment{}))

// fragmentFates are the words for enum fragment_fate.
var fragmentFates = map[uint8]string{1: "follow", 2: "pass to the kernel", 3: "end here"}

func (r *Reader) dumpFragments(yield emit) {
	now := jiffiesAt(&r.meta, r.clock())
	stopped := false
	err := r.eachFragment(func(key loader.FragmentKey, f loader.Fragment) bool {
		id := binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, key.Id))
		if key.Family == 4 {
			id = uint32(swap16(uint16(key.Id)))
		}
		entry := Entry{
			Key: fmt.Sprintf("%s > %s id %d", fragmentAddr(key.Src, key.Family), fragmentAddr(key.Dst, key.Family), id),
			Value: fmt.Sprintf("%s %d > %d later ones %s, the first %s ago, %d bytes whole", decodeProtocol(f.Proto),
				swap16(f.Sport), swap16(f.Dport), fragmentFates[f.Fate], r.since(f.First, now).Round(time.Millisecond), 8*int(f.Parts.Done)),
		}
		stopped = !yield(entry, nil)
		return !stopped
	})
	if err != nil && !stopped {
		yield(Entry{}, err)
	}
}

func (r *Reader) dumpDatagrams(yield emit) {
	n, err := r.datagrams()
	if err != nil || n != 0 {
		yield(entry(0, "%d datagrams", n), err)
	}
}

func fragmentAddr(a [4]uint32, family uint8) netip.Addr {
	var b [16]byte
	for i, word := range a {
		binary.NativeEndian.PutUint32(b[4*i:], word)
	}
	return decodeAddr(b, family)
}
