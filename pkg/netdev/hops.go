package netdev

import (
	"iter"
	"maps"
	"net/netip"
)

// Hops is the way to each of many addresses at one moment. It never changes. Those that follow each other share
// the parts in which nothing changed: with thousands of addresses the next one costs what is new in it. The zero
// Hops knows no address.
type Hops struct {
	parts *[hopParts]*hopPart // nil: no address; a nil part: none in it
}

// hopParts is how many parts there are: some 40 of 10,000 addresses are in one.
const hopParts = 256

// hopPart holds ways that are shared: thousands of addresses behind one router have one.
type hopPart struct{ hops map[netip.Addr]*NextHop }

// HopsOf are those of a map, which is not looked at afterwards.
func HopsOf(m map[netip.Addr]NextHop) Hops {
	var b hopBook
	for a, h := range m {
		b.set(a, h)
	}
	return b.hops()
}

// partOf is the part that an address is in. Addresses of one network differ in their last bytes.
func partOf(a netip.Addr) int {
	b := a.As16()
	return (int(b[15]) + 37*int(b[14]) + 101*int(b[13])) % hopParts
}

func (h Hops) part(i int) map[netip.Addr]*NextHop {
	if h.parts == nil || h.parts[i] == nil {
		return nil
	}
	return h.parts[i].hops
}

// To is the way to an address; false when it was not looked up.
func (h Hops) To(a netip.Addr) (NextHop, bool) {
	if hop := h.At(a); hop != nil {
		return *hop, true
	}
	return NextHop{}, false
}

// At is the way to an address, which nobody changes; nil when it was not looked up.
func (h Hops) At(a netip.Addr) *NextHop { return h.part(partOf(a))[a] }

// Len is how many addresses there are.
func (h Hops) Len() int {
	n := 0
	for i := range hopParts {
		n += len(h.part(i))
	}
	return n
}

// All yields every address with the way to it, in no order.
func (h Hops) All() iter.Seq2[netip.Addr, NextHop] {
	return func(yield func(netip.Addr, NextHop) bool) {
		for i := range hopParts {
			for a, hop := range h.part(i) {
				if !yield(a, *hop) {
					return
				}
			}
		}
	}
}

// Moved are the addresses to which there is another way than there was, or that only one of both knows.
func (h Hops) Moved(was Hops) map[netip.Addr]bool {
	moved := map[netip.Addr]bool{}
	for i := range hopParts {
		if h.parts != nil && was.parts != nil && h.parts[i] == was.parts[i] {
			continue
		}
		now, before := h.part(i), was.part(i)
		for a, hop := range now {
			if old := before[a]; old == nil || old != hop && *old != *hop {
				moved[a] = true
			}
		}
		for a := range before {
			if _, known := now[a]; !known {
				moved[a] = true
			}
		}
	}
	return moved
}

// Equal says that both know the same addresses and the same ways to them.
func (h Hops) Equal(o Hops) bool { return len(h.Moved(o)) == 0 }

// hopBook is where Hops are made. The zero value is empty.
type hopBook struct {
	latest  [hopParts]*hopPart
	shared  [hopParts]bool // others see the part: it is copied before it changes
	changed bool           // since hops was called
	last    *NextHop       // that was set
}

// own gives a part to be changed.
func (b *hopBook) own(i int) map[netip.Addr]*NextHop {
	switch p := b.latest[i]; {
	case p == nil:
		b.latest[i] = &hopPart{map[netip.Addr]*NextHop{}}
	case b.shared[i]:
		b.latest[i] = &hopPart{maps.Clone(p.hops)}
	}
	b.shared[i], b.changed = false, true
	return b.latest[i].hops
}

func (b *hopBook) set(a netip.Addr, hop NextHop) {
	i := partOf(a)
	if p := b.latest[i]; p != nil {
		if old := p.hops[a]; old != nil && *old == hop {
			return
		}
	}
	if b.last == nil || *b.last != hop {
		shared := hop
		b.last = &shared
	}
	b.own(i)[a] = b.last
}

func (b *hopBook) drop(a netip.Addr) {
	i := partOf(a)
	if p := b.latest[i]; p != nil {
		if _, known := p.hops[a]; known {
			delete(b.own(i), a)
		}
	}
}

// hops gives what is in the book now.
func (b *hopBook) hops() Hops {
	parts := b.latest
	for i := range b.shared {
		b.shared[i] = true
	}
	b.changed = false
	return Hops{&parts}
}
