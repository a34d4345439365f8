package maps

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"github.com/headgate/headgate/loader"
)

// shape is where things lie in the buckets of one family: offsets and sizes in bytes. A scan goes by it
// rather than by `buckets`, because a call for each of some million slots would be most of its time.
type shape struct {
	base                          unsafe.Pointer // of the first bucket
	buckets                       uint32
	bucketSize, slots, slotSize   uintptr
	dst, word, half, addressBytes uintptr
}

func (f family4) shape() shape {
	var b loader.Bucket4
	var s loader.Flow4
	return shape{
		base: unsafe.Pointer(unsafe.SliceData(f)), buckets: uint32(len(f)),
		bucketSize: unsafe.Sizeof(b), slots: unsafe.Offsetof(b.Flows), slotSize: unsafe.Sizeof(s),
		dst: unsafe.Offsetof(s.Dst), word: unsafe.Offsetof(s.Word), half: unsafe.Offsetof(s.Half), addressBytes: 4,
	}
}

func (f family6) shape() shape {
	var b loader.Bucket6
	var s loader.Flow6
	return shape{
		base: unsafe.Pointer(unsafe.SliceData(f)), buckets: uint32(len(f)),
		bucketSize: unsafe.Sizeof(b), slots: unsafe.Offsetof(b.Flows), slotSize: unsafe.Sizeof(s),
		dst: unsafe.Offsetof(s.Dst), word: unsafe.Offsetof(s.Word), half: unsafe.Offsetof(s.Half), addressBytes: 16,
	}
}

// Where fields of struct flow_word and struct half lie.
const (
	wordProto   = 32 // bits
	wordFlags   = 40
	wordVersion = 48
	wordDport   = 16
)

var (
	peerInHalf = unsafe.Offsetof(loader.Half{}.Peer)
	nodeInHalf = unsafe.Offsetof(loader.Half{}.Node)
)

func load64(p unsafe.Pointer, at uintptr) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Add(p, at)))
}
func load32(p unsafe.Pointer, at uintptr) uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Add(p, at)))
}

// scan visits the forward halves in buckets [first, last) that the filter selects, with their node and class,
// until visit returns false. Halves that change hands meanwhile are looked at again.
func (s *shape) scan(first, last uint32, q *rawFilter, visit func(ref, node uint32, class FlowClass) bool) bool {
	for bucket := first; bucket < last; bucket++ {
		head := unsafe.Add(s.base, uintptr(bucket)*s.bucketSize)
		tags := [2]uint64{load64(head, 0), load64(head, 8)}
		if tags[0]|tags[1] == 0 {
			continue
		}
		for slot := uint32(0); slot < bucketSlots; slot++ {
			if tags[slot/4]>>(slot%4*16)&0xffff == 0 {
				continue
			}
			at := unsafe.Add(head, s.slots+uintptr(slot)*s.slotSize)
			stamp := unsafe.Offsetof(loader.BucketHead{}.Stamps) + uintptr(slot)*4
			node, class, ok := s.look(head, at, stamp, q)
			if ok && !visit(bucket*bucketSlots+slot, node, class) {
				return false
			}
		}
	}
	return true
}

// look reads what a scan needs of a slot, all of one flow; false when the filter does not select it.
func (s *shape) look(head, at unsafe.Pointer, stamp uintptr, q *rawFilter) (node uint32, class FlowClass, ok bool) {
	for range readTries {
		word := load64(at, s.word)
		if word>>wordVersion&1 != 0 {
			continue
		}
		class = FlowClass(load32(head, stamp) & classMask)
		node = load32(at, s.half+nodeInHalf)
		ok = word>>wordFlags&halfForward != 0 && class != 0 && q.matches(s, at, word, node, class)
		if load64(at, s.word)>>wordVersion&0xff == word>>wordVersion&0xff {
			return node, class, ok
		}
	}
	return 0, 0, false
}

// rawFilter is a FlowFilter as it is compared with the bytes of one family's slots.
type rawFilter struct {
	proto           uint64 // 0: all
	class           FlowClass
	client, vip     [2]uint64 // as they lie
	hasClient, port bool      // whether client; whether vip and dport count
	dport           uint64
	nodes           []uint64 // bit for each id; nil: all
	nothing         bool     // the filter asks for the other family
}

func (q *FlowFilter) raw(s *shape) (r rawFilter) {
	of := func(a netip.Addr) (words [2]uint64) {
		var b [16]byte
		copy(b[:], a.AsSlice())
		r.nothing = r.nothing || a.Is4() != (s.addressBytes == 4)
		return [2]uint64{binary.NativeEndian.Uint64(b[:8]), binary.NativeEndian.Uint64(b[8:])}
	}
	if q.Protocol != "" {
		r.proto = uint64(protocols[q.Protocol])
	}
	r.class = q.Class
	if r.hasClient = q.Client.IsValid(); r.hasClient {
		r.client = of(q.Client)
	}
	if r.port = q.VIP.IsValid(); r.port {
		r.vip, r.dport = of(q.VIP.Addr()), uint64(swap16(q.VIP.Port()))
	}
	for id, wanted := range q.Nodes {
		for int(id/64) >= len(r.nodes) {
			r.nodes = append(r.nodes, 0)
		}
		if wanted {
			r.nodes[id/64] |= 1 << (id % 64)
		}
	}
	if q.Nodes != nil && r.nodes == nil {
		r.nothing = true
	}
	return r
}

func (r *rawFilter) matches(s *shape, at unsafe.Pointer, word uint64, node uint32, class FlowClass) bool {
	switch {
	case r.proto != 0 && word>>wordProto&0xff != r.proto,
		r.class != 0 && class != r.class,
		r.nodes != nil && (int(node/64) >= len(r.nodes) || r.nodes[node/64]>>(node%64)&1 == 0),
		r.hasClient && !s.sameAddress(at, 0, &r.client),
		r.port && (word>>wordDport&0xffff != r.dport || !s.sameAddress(at, s.dst, &r.vip)):
		return false
	}
	return true
}

func (s *shape) sameAddress(at unsafe.Pointer, offset uintptr, a *[2]uint64) bool {
	if s.addressBytes == 4 {
		return load32(at, offset) == uint32(a[0])
	}
	return load64(at, offset) == a[0] && load64(at, offset+8) == a[1]
}
