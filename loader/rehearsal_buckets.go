package loader

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"github.com/cilium/ebpf"
)

// bucket is of either family.
type bucket interface {
	Bucket4 | Bucket6
}

// headOf is the first cache line, which both families have in common.
func headOf[B bucket](b *B) *BucketHead { return (*BucketHead)(unsafe.Pointer(b)) }

// peersOf calls f with the buckets that the other halves of a bucket's flows lie in.
func peersOf[B bucket](b *B, f func(bucket uint32)) {
	for slot := range bucketSlots {
		if headOf(b).Tags[slot] == 0 {
			continue
		}
		f(halfOf(b, uint32(slot)).Peer / bucketSlots)
	}
}

// halfOf is the half in a slot.
func halfOf[B bucket](b *B, slot uint32) *Half {
	switch b := any(b).(type) {
	case *Bucket4:
		return &b.Flows[slot].Half
	case *Bucket6:
		return &b.Flows[slot].Half
	}
	return nil
}

// keyOf is the key of the half in a slot.
func keyOf[B bucket](b *B, slot uint32) (src, dst netip.AddrPort, proto uint8) {
	key := func(family uint8, from, to [4]uint32, word FlowWord) (netip.AddrPort, netip.AddrPort, uint8) {
		return addrPortOf(from, word.Sport, family), addrPortOf(to, word.Dport, family), word.Proto
	}
	switch b := any(b).(type) {
	case *Bucket4:
		f := &b.Flows[slot]
		return key(4, [4]uint32{f.Src}, [4]uint32{f.Dst}, f.Word)
	case *Bucket6:
		f := &b.Flows[slot]
		return key(6, f.Src, f.Dst, f.Word)
	}
	return src, dst, proto
}

// addrPortOf reads an address and a port that lie in network byte order.
func addrPortOf(addr [4]uint32, port uint16, family uint8) netip.AddrPort {
	var b [16]byte
	for i, word := range addr {
		binary.NativeEndian.PutUint32(b[4*i:], word)
	}
	return netip.AddrPortFrom(addrOf(b, family), fromNetwork(port))
}

// fromNetwork is a number that lies in network byte order.
func fromNetwork(port uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, port))
}

func addrOf(b [16]byte, family uint8) netip.Addr {
	if family == 6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

// bucketAt copies a bucket of a flow table.
func bucketAt[B bucket](table *ebpf.Memory, i uint32) (*B, error) {
	b := new(B)
	size := int(unsafe.Sizeof(*b))
	_, err := table.ReadAt(unsafe.Slice((*byte)(unsafe.Pointer(b)), size), int64(i)*int64(size))
	return b, err
}

// halfWith finds the half with a key in a flow table of so many buckets, and its stamp; nil: there is none.
func halfWith[B bucket](table *ebpf.Memory, buckets uint32, hash uint64, src, dst netip.AddrPort, proto uint8) (uint32, *Half, error) {
	first, second := Buckets(hash, buckets)
	for _, i := range []uint32{first, second} {
		b, err := bucketAt[B](table, i)
		if err != nil {
			return 0, nil, err
		}
		for slot, tag := range headOf(b).Tags {
			if tag != uint16(hash>>48)|1 {
				continue
			}
			if from, to, of := keyOf(b, uint32(slot)); from == src && to == dst && of == proto {
				return headOf(b).Stamps[slot], halfOf(b, uint32(slot)), nil
			}
		}
	}
	return 0, nil, nil
}

// putBuckets copies from a flow table all buckets that a packet can come to look at whose keys have these
// hashes: those that these may lie in, and those of the other halves of all that lies there.
func putBuckets[B bucket](to, from *ebpf.Map, hashes []uint64) (map[uint32]B, error) {
	table, err := from.Memory()
	if err != nil {
		return nil, err
	}
	put := map[uint32]B{}
	add := func(i uint32) (*B, error) {
		b, done := put[i]
		if done || i >= from.MaxEntries() {
			return &b, nil
		}
		found, err := bucketAt[B](table, i)
		if err != nil {
			return nil, err
		}
		headOf(found).Lock = 0 // somebody else's, who lets go of it at once
		put[i] = *found
		return found, to.Put(i, *found)
	}
	for _, h := range hashes {
		first, second := Buckets(h, from.MaxEntries())
		for _, i := range []uint32{first, second} {
			b, err := add(i)
			if err != nil {
				return nil, err
			}
			peersOf(b, func(peer uint32) {
				if err == nil {
					_, err = add(peer)
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return put, nil
}

func readBuckets[B bucket](m *ebpf.Map, to *map[uint32]B) error {
	*to = map[uint32]B{}
	var i uint32
	var b B
	it := m.Iterate()
	for it.Next(&i, &b) {
		(*to)[i] = b
	}
	return it.Err()
}
