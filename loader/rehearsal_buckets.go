package loader

import (
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
		switch b := any(b).(type) {
		case *Bucket4:
			f(b.Flows[slot].Half.Peer / bucketSlots)
		case *Bucket6:
			f(b.Flows[slot].Half.Peer / bucketSlots)
		}
	}
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
		size := int(unsafe.Sizeof(b))
		if _, err := table.ReadAt(unsafe.Slice((*byte)(unsafe.Pointer(&b)), size), int64(i)*int64(size)); err != nil {
			return nil, err
		}
		headOf(&b).Lock = 0 // somebody else's, who lets go of it at once
		put[i] = b
		return &b, to.Put(i, b)
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
