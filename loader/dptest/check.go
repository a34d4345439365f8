package dptest

import (
	"fmt"

	"github.com/headgate/headgate/loader"
)

// Check returns what is wrong with the flow tables, empty when nothing is: a half without its peer,
// halves that disagree, two with the same key, a slot or lock left half-way, and nodes whose count
// of active flows is not the number of their flows. Only for quiet moments.
func (b *Bed) Check() []string {
	c := &checker{active: map[uint32]uint64{}}
	for _, family := range []uint8{4, 6} {
		slots := b.slots(family)
		c.checkTable(slots, family)
		var spilled uint32
		for _, s := range slots {
			if s.flags&halfSpilled != 0 {
				spilled++
			}
		}
		c.checkHeads(b.heads(family), family, spilled)
	}
	for id, live := range readAll[loader.NodeLive](b, "nodes_live") {
		if live.Active != c.active[uint32(id)] {
			c.fault("node %d: %d active, but %d flows", id, live.Active, c.active[uint32(id)])
		}
	}
	return c.faults
}

type checker struct {
	faults []string
	active map[uint32]uint64
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) checkTable(slots map[uint32]slot, family uint8) {
	keys := map[Tuple]uint32{}
	for ref, s := range slots {
		at := fmt.Sprintf("flows%d[%d].%d (%s)", family, ref>>3, ref&7, s.key)
		if s.tag == 0 || s.class() == Free || s.class() > UDP || s.version%2 != 0 {
			c.fault("%s: half-way: tag %#x, %s, version %d", at, s.tag, s.class(), s.version)
			continue
		}
		if other, twice := keys[s.key]; twice {
			c.fault("%s: key is also at [%d].%d", at, other>>3, other&7)
		}
		keys[s.key] = ref
		if s.flags&halfForward != 0 && s.class().counted() {
			c.active[s.half.Node]++
		}
		peer, ok := slots[s.half.Peer]
		if !ok {
			c.fault("%s: no peer at [%d].%d", at, s.half.Peer>>3, s.half.Peer&7)
			continue
		}
		c.checkPair(at, s, peer)
	}
}

func (c *checker) checkPair(at string, s, peer slot) {
	const directions = halfForward | halfReply
	switch {
	case peer.half.Peer != s.ref:
		c.fault("%s: peer's peer is [%d].%d", at, peer.half.Peer>>3, peer.half.Peer&7)
	case s.flags&directions == peer.flags&directions || s.flags&directions == directions || s.flags&directions == 0:
		c.fault("%s: flags %#x, peer's %#x", at, s.flags, peer.flags)
	case s.half.Node != peer.half.Node:
		c.fault("%s: node %d, peer's %d", at, s.half.Node, peer.half.Node)
	case s.class() != peer.class():
		c.fault("%s: %s, peer is %s", at, s.class(), peer.class())
	case s.out != peer.key.reverse():
		c.fault("%s: leaves as %s, peer has %s", at, s.out, peer.key)
	}
}

// checkHeads checks what buckets say of themselves; spilled is how many halves say that they lie in
// their second bucket.
func (c *checker) checkHeads(heads []loader.BucketHead, family uint8, spilled uint32) {
	for n, head := range heads {
		if head.Lock != 0 {
			c.fault("flows%d[%d]: lock left taken", family, n)
		}
		spilled -= head.Spilled
	}
	if spilled != 0 {
		c.fault("flows%d: %d halves lie in their second bucket that no bucket counts", family, int32(spilled))
	}
}
