package dptest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/packet"
)

// Class is what a flow is, see enum flow_class.
type Class uint8

// Classes of flows.
const (
	Free Class = iota
	HalfOpen
	Established
	Closing
	UDP
)

// String returns the class in lower case.
func (c Class) String() string {
	if c > UDP {
		return fmt.Sprintf("class %d", uint8(c))
	}
	return [...]string{"free", "half-open", "established", "closing", "udp"}[c]
}

// counted says whether flows of a class count as active.
func (c Class) counted() bool { return c != Free && c != Closing }

// Bits of a half's flags, see enum half_flag.
const (
	halfForward = 1
	halfReply   = 2
	halfFIN     = 4
	halfSynAck  = 8
	halfSpilled = 16
)

// Tuple is a key of the flow table, as on the wire.
type Tuple struct {
	Proto    uint8
	Src, Dst netip.AddrPort
}

// reverse is the tuple of the other direction.
func (t Tuple) reverse() Tuple { return Tuple{t.Proto, t.Dst, t.Src} }

// String returns the tuple as the text of stories has it.
func (t Tuple) String() string { return fmt.Sprintf("%s > %s", t.Src, t.Dst) }

// slot is one used or half-used place of a flow table.
type slot struct {
	ref     uint32 // bucket << 3 | slot
	tag     uint16
	stamp   uint32
	version uint8
	key     Tuple
	out     Tuple // what a packet leaves with
	flags   uint8
	half    loader.Half
}

func (s slot) class() Class { return Class(s.stamp & 7) }

// Flow is a flow of the table, both halves joined.
type Flow struct {
	In, Out    Tuple // client to VIP, and what the node sees
	Node       uint32
	Class      Class
	Forward    Traffic
	Reply      Traffic
	ClientFIN  bool
	NodeFIN    bool
	SynAck     bool
	ExpectAck  uint32
	ReplyHop   Hop
	refForward uint32
}

// Traffic is what a direction carried.
type Traffic struct {
	Packets uint32
	Bytes   uint64
}

// Flows returns the flows of both tables, sorted. Halves without a peer are left out: Check finds them.
func (b *Bed) Flows() []Flow {
	var flows []Flow
	learned := readAll[uint64](b, "tags")
	for _, family := range []uint8{4, 6} {
		slots := b.slots(family)
		for _, f := range slots {
			r, ok := slots[f.half.Peer]
			if !ok || f.flags&halfForward == 0 {
				continue
			}
			flows = append(flows, Flow{
				In: f.key, Out: f.out, Node: f.half.Node, Class: f.class(),
				Forward:   Traffic{f.half.Packets, f.half.Bytes},
				Reply:     Traffic{r.half.Packets, r.half.Bytes},
				ClientFIN: f.flags&halfFIN != 0, NodeFIN: r.flags&halfFIN != 0, SynAck: f.flags&halfSynAck != 0,
				ExpectAck: uint32(f.half.Own.Hop >> 32), ReplyHop: hopOf(r.half.Own.Hop, learned), refForward: f.ref,
			})
		}
	}
	sortFlows(flows)
	return flows
}

func sortFlows(flows []Flow) {
	slices.SortFunc(flows, func(a, b Flow) int {
		return cmp.Or(cmp.Compare(a.In.Proto, b.In.Proto), a.In.Src.Compare(b.In.Src), a.In.Dst.Compare(b.In.Dst))
	})
}

// String returns a flow as stories show it.
func (f Flow) String() string {
	proto := "tcp"
	if f.In.Proto == packet.ProtoUDP {
		proto = "udp"
	}
	var marks string
	if f.SynAck {
		marks += fmt.Sprintf(" wants-ack %d", f.ExpectAck)
	}
	if f.ClientFIN {
		marks += " client-fin"
	}
	if f.NodeFIN {
		marks += " node-fin"
	}
	if f.ReplyHop.Tags != 0 {
		marks = fmt.Sprintf(" tags %s", f.ReplyHop.Tags) + marks
	}
	return fmt.Sprintf("%s %s as %s node %d %s in %d/%d out %d/%d back %d %s%s", proto, f.In, f.Out, f.Node, f.Class,
		f.Forward.Packets, f.Forward.Bytes, f.Reply.Packets, f.Reply.Bytes, f.ReplyHop.Link, f.ReplyHop.MAC, marks)
}

// slots reads every slot of a table that has a tag or a class.
func (b *Bed) slots(family uint8) map[uint32]slot {
	found := map[uint32]slot{}
	add := func(bucket, i int, head *loader.BucketHead, read func() slot) {
		if head.Tags[i] == 0 && head.Stamps[i] == 0 {
			return
		}
		s := read()
		s.ref = uint32(bucket<<3 | i)
		s.tag, s.stamp = head.Tags[i], head.Stamps[i]
		found[s.ref] = s
	}
	if family == 4 {
		for n, bucket := range readAll[loader.Bucket4](b, "flows4") {
			for i, f := range bucket.Flows {
				add(n, i, &bucket.Head, func() slot {
					return slotOf(f.Word, bytes4(f.Src), bytes4(f.Dst), bytes4(f.NatSrc), bytes4(f.NatDst), f.NatSport, f.NatDport, f.Half)
				})
			}
		}
		return found
	}
	for n, bucket := range readAll[loader.Bucket6](b, "flows6") {
		for i, f := range bucket.Flows {
			add(n, i, &bucket.Head, func() slot {
				return slotOf(f.Word, bytes16(f.Src), bytes16(f.Dst), bytes16(f.NatSrc), bytes16(f.NatDst), f.NatSport, f.NatDport, f.Half)
			})
		}
	}
	return found
}

func slotOf(w loader.FlowWord, src, dst, natSrc, natDst []byte, natSport, natDport uint16, half loader.Half) slot {
	port := func(addr []byte, raw uint16) netip.AddrPort {
		a, _ := netip.AddrFromSlice(addr)
		return netip.AddrPortFrom(a, be16(raw))
	}
	return slot{
		key: Tuple{w.Proto, port(src, w.Sport), port(dst, w.Dport)}, out: Tuple{w.Proto, port(natSrc, natSport), port(natDst, natDport)},
		flags: w.Flags, version: w.Version, half: half,
	}
}

func bytes4(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func bytes16(v [4]uint32) (b []byte) {
	for _, word := range v {
		b = binary.NativeEndian.AppendUint32(b, word)
	}
	return b
}

// Age makes every flow and all that is known of clients older by d, rounded up to 8 jiffies, and deadlines
// nearer, as if nothing had happened for that long.
func (b *Bed) Age(d time.Duration) {
	jiffies := (b.jiffiesOf(d) + 7) &^ 7
	b.ageClients(uint64(jiffies))
	b.ageFragments(jiffies)
	b.ageSignals(jiffies)
	nodes := readAll[loader.Node](b, "nodes")
	for i := range nodes {
		nodes[i].Deadline -= jiffies
	}
	writeAll(b, "nodes", nodes)
	age := func(head *loader.BucketHead, i int, half *loader.Half, forward bool) {
		if head.Tags[i] == 0 {
			return
		}
		head.Stamps[i] -= jiffies
		half.Seen -= jiffies
		if forward {
			half.Own.Hop = half.Own.Hop&^0xffffffff | uint64(uint32(half.Own.Hop)-jiffies)
		}
	}
	table4 := readAll[loader.Bucket4](b, "flows4")
	for n := range table4 {
		for i := range table4[n].Flows {
			f := &table4[n].Flows[i]
			age(&table4[n].Head, i, &f.Half, f.Word.Flags&halfForward != 0)
		}
	}
	writeAll(b, "flows4", table4)
	table6 := readAll[loader.Bucket6](b, "flows6")
	for n := range table6 {
		for i := range table6[n].Flows {
			f := &table6[n].Flows[i]
			age(&table6[n].Head, i, &f.Half, f.Word.Flags&halfForward != 0)
		}
	}
	writeAll(b, "flows6", table6)
}

// Lock takes or drops the lock of a bucket, as a program on another CPU would.
func (b *Bed) Lock(family uint8, bucket uint32, taken bool) {
	var lock uint32
	if taken {
		lock = 1
	}
	if family == 4 {
		var v loader.Bucket4
		b.lookup("flows4", bucket, &v)
		v.Head.Lock = lock
		b.update("flows4", bucket, v)
		return
	}
	var v loader.Bucket6
	b.lookup("flows6", bucket, &v)
	v.Head.Lock = lock
	b.update("flows6", bucket, v)
}

// heads returns the head of every bucket.
func (b *Bed) heads(family uint8) (heads []loader.BucketHead) {
	if family == 4 {
		for _, bucket := range readAll[loader.Bucket4](b, "flows4") {
			heads = append(heads, bucket.Head)
		}
		return heads
	}
	for _, bucket := range readAll[loader.Bucket6](b, "flows6") {
		heads = append(heads, bucket.Head)
	}
	return heads
}
