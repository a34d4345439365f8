package maps

import (
	"iter"
	"sync/atomic"
	"unsafe"

	"github.com/headgate/headgate/loader"
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
	const version = 1 << 48 // one more, in the word that holds it
	head := &f.flows4[0].Head
	for slot := range 2 {
		flow, from := &f.flows4[0].Flows[slot], &next.flows4[0].Flows[slot]
		odd := atomic.AddUint64(word64(&flow.Word), version)
		atomic.StoreUint64(word64(&flow.Src), *word64(&from.Src))
		atomic.StoreUint64(word64(&flow.Word), odd&(0xff<<48)|*word64(&from.Word)&^(0xff<<48))
		for i := unsafe.Offsetof(flow.NatSrc); i < unsafe.Sizeof(*flow); i += 8 {
			atomic.StoreUint64((*uint64)(unsafe.Add(unsafe.Pointer(flow), i)), *(*uint64)(unsafe.Add(unsafe.Pointer(from), i)))
		}
		atomic.StoreUint32(&head.Stamps[slot], next.flows4[0].Head.Stamps[slot])
	}
	atomic.StoreUint64(word64(&head.Tags[0]), *word64(&next.flows4[0].Head.Tags[0]))
	for slot := range 2 {
		atomic.AddUint64(word64(&f.flows4[0].Flows[slot].Word), version)
	}
}

func setVersion(word *loader.FlowWord, version uint8) {
	next := *word
	next.Version = version
	atomic.StoreUint64(word64(word), *word64(&next))
}
