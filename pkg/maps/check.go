package maps

import (
	"fmt"
	"sync/atomic"

	"github.com/headgate/headgate/loader"
)

// faultsMost is how many faults Check names; a broken table would name millions.
const faultsMost = 100

// checker collects what is wrong.
type checker struct {
	r       *Reader
	active  []uint64 // per node, as the table has it
	spilled []uint32 // per bucket of the table at hand: keys that lie in their second bucket
	faults  []string
	more    int
}

func (c *checker) fault(format string, args ...any) {
	if len(c.faults) < faultsMost {
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
		return
	}
	c.more++
}

// Check returns every invariant of the flow table that does not hold: each half has its peer, of
// the same node and class, whose tuples mirror it; it is where its key is looked for, and the only
// one with that key; no lock is taken; and each node's active flows are those of the table. It is
// exact at a quiet moment; while packets come and go, it may name what is only on its way.
func (r *Reader) Check() []string {
	c := &checker{r: r, active: make([]uint64, len(r.nodesLive))}
	c.table("flows4", family4(r.flows4))
	c.table("flows6", family6(r.flows6))
	for id := range r.nodesLive {
		if has := atomic.LoadUint64(&r.nodesLive[id].Active); has != c.active[id] {
			c.fault("nodes_live[%d]: active is %d, but the table has %d flows", id, int64(has), c.active[id])
		}
	}
	if c.more > 0 {
		c.faults = append(c.faults, fmt.Sprintf("and %d more", c.more))
	}
	return c.faults
}

func (c *checker) table(name string, t buckets) {
	type key struct {
		tuple
		proto uint8
	}
	seen := map[key]uint32{}
	c.spilled = make([]uint32, t.len())
	for bucket := range t.len() {
		c.head(name, t, bucket)
		if isEmpty(t.head(bucket)) {
			continue
		}
		for slot := range uint32(bucketSlots) {
			h, ok := readHalf(t, bucket*bucketSlots+slot)
			if !ok {
				continue
			}
			k := key{h.key, h.proto}
			if other, twice := seen[k]; twice {
				c.fault("%s: key of %s is there again in %s", at8(name, h.ref), describe(&h), at8(name, other))
			}
			seen[k] = h.ref
			c.half(name, t, &h)
		}
	}
	for bucket, n := range c.spilled {
		if has := atomic.LoadUint32(&t.head(uint32(bucket)).Spilled); has != n {
			c.fault("%s[%d]: spilled is %d, but %d of its keys lie in their second bucket", name, bucket, int32(has), n)
		}
	}
}

// at8 names a slot: flows4[bucket.slot].
func at8(name string, ref uint32) string {
	return fmt.Sprintf("%s[%d.%d]", name, ref/bucketSlots, ref%bucketSlots)
}

func describe(h *half) string {
	return fmt.Sprintf("%s %s > %s", decodeProtocol(h.proto), h.key.src, h.key.dst)
}

// head checks what a bucket says of its slots.
func (c *checker) head(name string, t buckets, bucket uint32) {
	head := t.head(bucket)
	if lock := atomic.LoadUint32(&head.Lock); lock != 0 {
		c.fault("%s[%d]: the lock is taken (%d)", name, bucket, lock)
	}
	for slot := range uint32(bucketSlots) {
		ref := bucket*bucketSlots + slot
		class := FlowClass(atomic.LoadUint32(&head.Stamps[slot]) & classMask)
		if loadVersion(t, bucket, slot)&1 != 0 {
			c.fault("%s: the version is odd: its writer never finished", at8(name, ref))
		}
		switch tag := loadTag(head, slot); {
		case tag == 0 && class != 0:
			c.fault("%s: class %s without a tag", at8(name, ref), class)
		case tag != 0 && class == 0:
			c.fault("%s: tag %#x on a free slot", at8(name, ref), tag)
		case class > UDPSession:
			c.fault("%s: no such class: %d", at8(name, ref), uint8(class))
		}
	}
}

// half checks one half against its key, its node and its peer.
func (c *checker) half(name string, t buckets, h *half) {
	where := at8(name, h.ref)
	c.place(where, t, h)
	node := h.common.Node
	if h.forward() == (h.flags&halfReply != 0) {
		c.fault("%s: neither forward nor reply, or both (flags %#x)", where, h.flags)
	}
	if (h.class() == UDPSession) != (decodeProtocol(h.proto) == "udp") {
		c.fault("%s: class %s with protocol %s", where, h.class(), decodeProtocol(h.proto))
	}
	if node == 0 || int(node) >= len(c.active) {
		c.fault("%s: no such node: %d", where, node)
		return
	}
	if h.forward() && h.class().Counted() {
		c.active[node]++
	}
	c.node(where, h)
	peer, ok := readHalf(t, h.common.Peer)
	if !ok {
		c.fault("%s: %s has lost its other half (%s)", where, describe(h), at8(name, h.common.Peer))
		return
	}
	c.pair(where, h, &peer)
}

// place checks that a half is where its key is looked for.
func (c *checker) place(where string, t buckets, h *half) {
	hash := hashTuple(&c.r.meta, h.key, h.proto)
	if tag := tagOf(hash); tag != h.tag {
		c.fault("%s: tag %#x, but the key of %s has %#x", where, h.tag, describe(h), tag)
	}
	first, second := loader.Buckets(hash, t.len())
	bucket, spilled := h.ref/bucketSlots, h.flags&halfSpilled != 0
	switch {
	case bucket != first && bucket != second:
		c.fault("%s: %s belongs into bucket %d or %d", where, describe(h), first, second)
	case spilled != (bucket != first):
		c.fault("%s: %s prefers bucket %d; its flag that it does not lie there is %v", where, describe(h), first, spilled)
	}
	if bucket != first {
		c.spilled[first]++
	}
}

// node checks that a half's node is the one that its addresses name, and has an id still.
func (c *checker) node(where string, h *half) {
	n, err := c.r.ReadNode(h.common.Node)
	if err != nil {
		c.fault("%s: %v", where, err)
		return
	}
	address := h.nat.dst
	if !h.forward() {
		address = h.key.src
	}
	switch {
	case n.Status.Lifecycle == Free:
		c.fault("%s: %s points to node %d, which is free", where, describe(h), h.common.Node)
	case n.Address != address:
		c.fault("%s: %s goes to %s, but node %d is %s", where, describe(h), address, h.common.Node, n.Address)
	}
}

// pair checks a half against the one that its peer points to.
func (c *checker) pair(where string, h, peer *half) {
	switch {
	case peer.common.Peer != h.ref:
		c.fault("%s: the other half of %s points elsewhere", where, describe(h))
		return
	case peer.forward() == h.forward():
		c.fault("%s: both halves of %s have one direction", where, describe(h))
	case peer.proto != h.proto:
		c.fault("%s: the other half of %s has protocol %s", where, describe(h), decodeProtocol(peer.proto))
	case peer.key != h.nat.reverse() || peer.nat != h.key.reverse():
		c.fault("%s: the halves of %s do not mirror each other: %v as %v, %v as %v", where, describe(h), h.key, h.nat, peer.key, peer.nat)
	}
	if peer.common.Node != h.common.Node {
		c.fault("%s: the halves of %s have nodes %d and %d", where, describe(h), h.common.Node, peer.common.Node)
	}
	if peer.class() != h.class() {
		c.fault("%s: the halves of %s are %s and %s", where, describe(h), h.class(), peer.class())
	}
}
