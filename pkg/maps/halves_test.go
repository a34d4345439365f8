package maps

import (
	"iter"
	"sync/atomic"
	"unsafe"
)

// allHalves yields the halves of the IPv4 table.
func allHalves(f *Fake) iter.Seq[half] {
	return func(yield func(half) bool) { halves(family4(f.flows4), yield) }
}

// prepared is a flow as it lies in slots 0 and 1 of bucket 0.
func prepared(fl Flow) *Fake {
	f := NewFake(FakeSizes{Buckets4: 1, Buckets6: 1})
	if err := f.AddFlow(fl); err != nil {
		panic(err)
	}
	return f
}

// replace writes a prepared flow over another as the program does: versions odd, one word at a
// time, tags, versions even.
func replace(f, next *Fake) {
	head := &f.flows4[0].Head
	version := word64(&head.Versions)
	v := atomic.AddUint64(version, 0x0101)
	for slot := range 2 {
		to, from := unsafe.Pointer(&f.flows4[0].Flows[slot]), unsafe.Pointer(&next.flows4[0].Flows[slot])
		for i := uintptr(0); i < unsafe.Sizeof(f.flows4[0].Flows[slot]); i += 8 {
			atomic.StoreUint64((*uint64)(unsafe.Add(to, i)), *(*uint64)(unsafe.Add(from, i)))
		}
		atomic.StoreUint32(&head.Stamps[slot], next.flows4[0].Head.Stamps[slot])
	}
	atomic.StoreUint64(word64(&head.Tags[0]), *word64(&next.flows4[0].Head.Tags[0]))
	even := uint64(uint8(v) + 1)
	atomic.StoreUint64(version, even|even<<8)
}
