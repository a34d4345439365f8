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

// FillFrom is Fill of those tables alone that the active flows of the nodes fill to that share at least: a count of
// them all, half-open ones too, tells without a look at the others.
func (r *Reader) FillFrom(share float64, nodes []NodeState) (out []TableFill) {
	entries := map[bool]uint64{} // that the flows take, by whether they are of IPv4
	for i := range nodes {
		entries[nodes[i].Address.Addr().Is4()] += 2 * nodes[i].Active
	}
	for _, t := range []struct {
		family int
		buckets
	}{{4, family4(r.flows4)}, {6, family6(r.flows6)}} {
		if float64(entries[t.family == 4]) >= share*float64(t.len()*bucketSlots) {
			out = append(out, fillOf(t.family, t.buckets))
		}
	}
	return out
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
