package maps

import (
	"sync/atomic"
)

// TableFill is how much of one family's flow table is in use. A flow takes two entries.
type TableFill struct {
	Family  int    // 4 or 6
	Entries uint64 // there is room for
	Used    map[FlowClass]uint64
}

// All is how many entries are in use, of whatever class.
func (f *TableFill) All() (n uint64) {
	for _, used := range f.Used {
		n += used
	}
	return n
}

// Fill counts the entries in use of both flow tables. It reads the buckets' heads only: some ten
// milliseconds for a million entries. Flows that have expired count until they are swept.
func (r *Reader) Fill() []TableFill {
	return []TableFill{fillOf(4, family4(r.flows4)), fillOf(6, family6(r.flows6))}
}

func fillOf(family int, t buckets) TableFill {
	var count [classMask + 1]uint64
	for bucket := range t.len() {
		head := t.head(bucket)
		if isEmpty(head) {
			continue
		}
		for i := range head.Stamps {
			count[atomic.LoadUint32(&head.Stamps[i])&classMask]++
		}
	}
	f := TableFill{Family: family, Entries: uint64(t.len()) * bucketSlots, Used: map[FlowClass]uint64{}}
	for _, class := range FlowClasses {
		f.Used[class] = count[class]
	}
	return f
}
