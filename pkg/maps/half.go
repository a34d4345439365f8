package maps

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"github.com/headgate/headgate/loader"
)

// Bits of the flags of a half (enum half_flag), and where the class is in a stamp.
const (
	halfForward = 1
	halfReply   = 2
	halfSpilled = 16

	classMask   = 7
	bucketSlots = 8
)

// family4 and family6 read buckets of their family; they share all code that does not care.
type (
	family4 []loader.Bucket4
	family6 []loader.Bucket6
)

// buckets is the flow table of one family.
type buckets interface {
	len() uint32
	head(bucket uint32) *loader.BucketHead
	// read copies the key, the rewrite and the counters of a slot, while packets may change them.
	read(bucket, slot uint32) half
	// word is where the ports, the protocol, the flags and the version of a slot lie.
	word(bucket, slot uint32) *loader.FlowWord
}

// flowTable is buckets that lie one after another, all that there are.
type flowTable interface {
	buckets
	// shape is how they lie, for a scan of all of them.
	shape() shape
}

// half is a copy of one direction of a flow.
type half struct {
	ref    uint32 // bucket << 3 | slot
	tag    uint16
	stamp  uint32
	proto  uint8
	flags  uint8
	key    tuple // as on the wire
	nat    tuple // as it leaves
	common loader.Half
}

type tuple struct {
	src, dst netip.AddrPort
}

// reverse gives the tuple of a packet that answers one with t.
func (t tuple) reverse() tuple { return tuple{src: t.dst, dst: t.src} }

func (h *half) class() FlowClass { return FlowClass(h.stamp & classMask) }
func (h *half) forward() bool    { return h.flags&halfForward != 0 }

// born is the jiffies of creation, known to a forward half.
func (h *half) born() uint32 { return born(&h.common) }

func born(forward *loader.Half) uint32 {
	first, _ := split64(forward.Own.Hop)
	return first
}

func (f family4) len() uint32                           { return uint32(len(f)) }
func (f family4) head(bucket uint32) *loader.BucketHead { return &f[bucket].Head }

func (f family4) word(bucket, slot uint32) *loader.FlowWord { return &f[bucket].Flows[slot].Word }

func (f family4) read(bucket, slot uint32) half {
	var c loader.Flow4
	copyWords(unsafe.Pointer(&c), unsafe.Pointer(&f[bucket].Flows[slot]), unsafe.Sizeof(c))
	return half{
		proto:  c.Word.Proto,
		flags:  c.Word.Flags,
		key:    tuple{addrPort4(c.Src, c.Word.Sport), addrPort4(c.Dst, c.Word.Dport)},
		nat:    tuple{addrPort4(c.NatSrc, c.NatSport), addrPort4(c.NatDst, c.NatDport)},
		common: c.Half,
	}
}

func (f family6) len() uint32                           { return uint32(len(f)) }
func (f family6) head(bucket uint32) *loader.BucketHead { return &f[bucket].Head }

func (f family6) word(bucket, slot uint32) *loader.FlowWord { return &f[bucket].Flows[slot].Word }

func (f family6) read(bucket, slot uint32) half {
	var c loader.Flow6
	copyWords(unsafe.Pointer(&c), unsafe.Pointer(&f[bucket].Flows[slot]), unsafe.Sizeof(c))
	return half{
		proto:  c.Word.Proto,
		flags:  c.Word.Flags,
		key:    tuple{addrPort6(c.Src, c.Word.Sport), addrPort6(c.Dst, c.Word.Dport)},
		nat:    tuple{addrPort6(c.NatSrc, c.NatSport), addrPort6(c.NatDst, c.NatDport)},
		common: c.Half,
	}
}

// copyWords copies memory that programs change, one aligned 64-bit word at a time, so that each
// word is whole. size is in bytes.
func copyWords(to, from unsafe.Pointer, size uintptr) {
	for i := uintptr(0); i < size; i += 8 {
		*(*uint64)(unsafe.Add(to, i)) = atomic.LoadUint64((*uint64)(unsafe.Add(from, i)))
	}
}

func addrPort4(a uint32, port uint16) netip.AddrPort {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], a)
	return netip.AddrPortFrom(netip.AddrFrom4(b), swap16(port))
}

func addrPort6(a [4]uint32, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(*(*[16]byte)(unsafe.Pointer(&a))), swap16(port))
}

func loadTag(h *loader.BucketHead, slot uint32) uint16 {
	return uint16(atomic.LoadUint64(word64(&h.Tags[slot&^3])) >> (slot & 3 * 16))
}

// loadVersion reads the version of a slot: odd while it changes hands.
func loadVersion(t buckets, bucket, slot uint32) uint8 {
	word := atomic.LoadUint64(word64(t.word(bucket, slot)))
	return (*loader.FlowWord)(unsafe.Pointer(&word)).Version
}

// isEmpty reports whether a bucket holds nothing.
func isEmpty(h *loader.BucketHead) bool {
	return atomic.LoadUint64(word64(&h.Tags[0]))|atomic.LoadUint64(word64(&h.Tags[4])) == 0
}

// readTries is how often a slot is read again that changes hands meanwhile, before it is passed
// over: whatever was there is gone or comes later.
const readTries = 8

// readHalf copies the half in a slot, whole; false when there is none.
func readHalf(t buckets, ref uint32) (half, bool) {
	bucket, slot := ref/bucketSlots, ref%bucketSlots
	if bucket >= t.len() {
		return half{}, false
	}
	head := t.head(bucket)
	for range readTries {
		version := loadVersion(t, bucket, slot)
		tag := loadTag(head, slot)
		if tag == 0 {
			return half{}, false
		}
		h := t.read(bucket, slot)
		h.ref, h.tag, h.stamp = ref, tag, atomic.LoadUint32(&head.Stamps[slot])
		if version&1 == 0 && loadVersion(t, bucket, slot) == version {
			return h, true
		}
	}
	return half{}, false
}

// halves yields every half of a family's table.
func halves(t buckets, yield func(half) bool) bool {
	for bucket := range t.len() {
		if isEmpty(t.head(bucket)) {
			continue
		}
		for slot := range uint32(bucketSlots) {
			if h, ok := readHalf(t, bucket*bucketSlots+slot); ok && !yield(h) {
				return false
			}
		}
	}
	return true
}
