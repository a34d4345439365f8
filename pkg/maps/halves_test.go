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

// replace writes a flow into slots 0 and 1 of bucket 0 as the program does: versions odd, one
// word at a time, tags, versions even.
func replace(f *Fake, fl Flow) {
	next := NewFake(FakeSizes{Buckets4: 1, Buckets6: 1})
	if err := next.AddFlow(fl); err != nil {
		panic(err)
	}
	head := &f.flows4[0].Head
	version := word64(&head.Versions)
	atomic.AddUint64(version, 0x0101)
	for slot := range 2 {
		to, from := unsafe.Pointer(&f.flows4[0].Flows[slot]), unsafe.Pointer(&next.flows4[0].Flows[slot])
		for i := uintptr(0); i < unsafe.Sizeof(f.flows4[0].Flows[slot]); i += 8 {
			atomic.StoreUint64((*uint64)(unsafe.Add(to, i)), *(*uint64)(unsafe.Add(from, i)))
		}
		atomic.StoreUint32(&head.Stamps[slot], next.flows4[0].Head.Stamps[slot])
	}
	atomic.StoreUint64(word64(&head.Tags[0]), *word64(&next.flows4[0].Head.Tags[0]))
	v := atomic.LoadUint64(version)
	atomic.StoreUint64(version, (v&0xff+1)&0xff|((v>>8&0xff+1)&0xff)<<8)
}
