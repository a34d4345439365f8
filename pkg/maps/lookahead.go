package maps

import (
	"unsafe"

	"github.com/headgate/headgate/loader"
)

// lookAhead is how many flows are asked for before the first of them is read. Halves lie anywhere in a table
// that is in no cache, and whoever reads one flow after the other waits for memory twice for each. Loads that do
// not depend on each other are under way together. So many flows take a quarter of a first-level cache.
const lookAhead = 32

// place is where the forward half of a flow lies.
type place struct {
	ref    uint32
	family uint8 // index of its table in flowLook
}

// flowLook is one look at the flows that a filter selects.
type flowLook struct {
	*Reader
	q      *FlowFilter
	now    uint32 // jiffies
	tables []flowTable
	shapes []shape
}

// look begins a look; q must be left alone while it lasts.
func (r *Reader) look(q *FlowFilter) *flowLook {
	l := &flowLook{Reader: r, q: q, now: jiffiesAt(&r.meta, r.clock()), tables: r.families(q.Family)}
	for _, t := range l.tables {
		l.shapes = append(l.shapes, t.shape())
	}
	return l
}

// reading reads flows into a batch, in the order in which their places are added.
type reading struct {
	*flowLook
	batch *[]Flow
	ahead [lookAhead]place
	n     int
}

func (l *flowLook) reading() *reading {
	batch := batches.Get().(*[]Flow)
	*batch = (*batch)[:0]
	return &reading{flowLook: l, batch: batch}
}

func (r *reading) add(p place) {
	r.ahead[r.n] = p
	if r.n++; r.n == lookAhead {
		r.read()
	}
}

// done gives the flows that were still there, and that the filter still selects.
func (r *reading) done() *[]Flow {
	r.read()
	return r.batch
}

func (r *reading) read() {
	var peers [lookAhead]uint32
	for i, p := range r.ahead[:r.n] {
		peers[i] = r.shapes[p.family].fetch(p.ref)
	}
	for i, p := range r.ahead[:r.n] {
		r.shapes[p.family].fetch(peers[i])
	}
	for _, p := range r.ahead[:r.n] {
		if f, ok := r.flowAt(r.tables[p.family], p.ref, r.q, r.now); ok {
			*r.batch = append(*r.batch, f)
		}
	}
	r.n = 0
}

// slot is where a half lies, and the head of its bucket; nil if there is no such place.
func (s *shape) slot(ref uint32) (head, at unsafe.Pointer) {
	bucket := ref / bucketSlots
	if bucket >= s.buckets {
		return nil, nil
	}
	head = unsafe.Add(s.base, uintptr(bucket)*s.bucketSize)
	return head, unsafe.Add(head, s.slots+uintptr(ref%bucketSlots)*s.slotSize)
}

// fetch asks for all memory that readHalf reads of a half, and gives its peer.
func (s *shape) fetch(ref uint32) (peer uint32) {
	head, at := s.slot(ref)
	if head == nil {
		return ref
	}
	load64(head, 0)
	load64(at, s.word)
	return load32(at, s.half+peerInHalf)
}

// common is what both families keep of a half, of which packets may have changed a part meanwhile.
func (s *shape) common(ref uint32) (h loader.Half) {
	if _, at := s.slot(ref); at != nil {
		copyWords(unsafe.Pointer(&h), unsafe.Add(at, s.half), unsafe.Sizeof(h))
	}
	return h
}
