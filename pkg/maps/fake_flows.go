package maps

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"github.com/headgate/headgate/loader"
)

// AddFlow makes a flow, as the program would: both halves where their keys belong, counted at its
// node when its class counts. Age and Idle say how long ago it was made and used last. It fails
// when neither bucket of a key has a free slot.
func (f *Fake) AddFlow(fl Flow) error { return f.AddFlowFrom(fl, Hop{}) }

// AddFlowFrom is AddFlow for a client whose packets came from a certain hop.
func (f *Fake) AddFlowFrom(fl Flow, client Hop) error {
	t := f.families(int(familyOf(fl.VIP.Addr())))[0]
	forward, reply := tuple{fl.Client, fl.VIP}, tuple{fl.Node, fl.Source}
	proto := protocols[fl.Protocol]
	fref, err := f.freeSlot(t, forward, proto, 0)
	if err != nil {
		return err
	}
	rref, err := f.freeSlot(t, reply, proto, fref+1)
	if err != nil {
		return err
	}
	now := jiffiesAt(&f.meta, monotonic())
	born, seen := now-f.jiffies(fl.Age), now-f.jiffies(fl.Idle)
	f.put(fref, half{
		stamp: seen&^classMask | uint32(fl.Class), proto: proto, flags: halfForward, key: forward, nat: reply.reverse(),
		common: loader.Half{Peer: rref, Node: fl.NodeID, Seen: seen, Packets: fl.PacketsIn, Bytes: fl.BytesIn},
	})
	f.half(fref, forward).Own.Hop = join64(born, 0)
	f.put(rref, half{
		stamp: seen&^classMask | uint32(fl.Class), proto: proto, flags: halfReply, key: reply, nat: forward.reverse(),
		common: loader.Half{Peer: fref, Node: fl.NodeID, Seen: seen, Packets: fl.PacketsOut, Bytes: fl.BytesOut},
	})
	f.half(rref, reply).Own.Hop = encodeHop(client)
	if fl.Class.Counted() {
		atomic.AddUint64(&f.nodesLive[fl.NodeID].Active, 1)
	}
	return nil
}

// EndFlows takes all flows of a node out of the table, as if they had ended.
func (f *Fake) EndFlows(node uint32) {
	for _, t := range f.families(0) {
		halves(t, func(h half) bool {
			if h.common.Node != node {
				return true
			}
			if h.forward() && h.class().Counted() {
				atomic.AddUint64(&f.nodesLive[node].Active, ^uint64(0))
			}
			f.countSpilled(t, &h, -1)
			head := t.head(h.ref / bucketSlots)
			head.Tags[h.ref%bucketSlots], head.Stamps[h.ref%bucketSlots] = 0, 0
			word := t.word(h.ref/bucketSlots, h.ref%bucketSlots)
			word.Proto, word.Version = 0, word.Version+2
			return true
		})
	}
}

// freeSlot finds a place for a key, other than the one before taken.
func (f *Fake) freeSlot(t buckets, key tuple, proto uint8, taken uint32) (uint32, error) {
	first, second := loader.Buckets(hashTuple(&f.meta, key, proto), t.len())
	for _, bucket := range []uint32{first, second} {
		for slot := range uint32(bucketSlots) {
			ref := bucket*bucketSlots + slot
			if t.head(bucket).Tags[slot] == 0 && ref+1 != taken {
				return ref, nil
			}
		}
	}
	return 0, fmt.Errorf("flow table: no room for %s > %s in buckets %d and %d", key.src, key.dst, first, second)
}

func (f *Fake) half(ref uint32, key tuple) *loader.Half {
	if key.src.Addr().Is4() {
		return &f.flows4[ref/bucketSlots].Flows[ref%bucketSlots].Half
	}
	return &f.flows6[ref/bucketSlots].Flows[ref%bucketSlots].Half
}

// countSpilled counts a half that does not lie in its first bucket there.
func (f *Fake) countSpilled(t buckets, h *half, change int32) (spilled bool) {
	first, _ := loader.Buckets(hashTuple(&f.meta, h.key, h.proto), t.len())
	if first == h.ref/bucketSlots {
		return false
	}
	t.head(first).Spilled += uint32(change)
	return true
}

// put writes a half and then its head.
func (f *Fake) put(ref uint32, h half) {
	bucket, slot := ref/bucketSlots, ref%bucketSlots
	h.ref = ref
	if f.countSpilled(f.families(int(familyOf(h.key.src.Addr())))[0], &h, 1) {
		h.flags |= halfSpilled
	}
	word := loader.FlowWord{Sport: swap16(h.key.src.Port()), Dport: swap16(h.key.dst.Port()), Proto: h.proto, Flags: h.flags}
	var head *loader.BucketHead
	if h.key.src.Addr().Is4() {
		head = &f.flows4[bucket].Head
		word.Version = f.flows4[bucket].Flows[slot].Word.Version + 2
		f.flows4[bucket].Flows[slot] = loader.Flow4{
			Src: raw4(h.key.src), Dst: raw4(h.key.dst), Word: word, NatSrc: raw4(h.nat.src), NatDst: raw4(h.nat.dst),
			NatSport: swap16(h.nat.src.Port()), NatDport: swap16(h.nat.dst.Port()), Half: h.common,
		}
	} else {
		head = &f.flows6[bucket].Head
		word.Version = f.flows6[bucket].Flows[slot].Word.Version + 2
		f.flows6[bucket].Flows[slot] = loader.Flow6{
			Src: raw6(h.key.src), Dst: raw6(h.key.dst), Word: word, NatSrc: raw6(h.nat.src), NatDst: raw6(h.nat.dst),
			NatSport: swap16(h.nat.src.Port()), NatDport: swap16(h.nat.dst.Port()), Half: h.common,
		}
	}
	head.Tags[slot] = tagOf(hashTuple(&f.meta, h.key, h.proto))
	head.Stamps[slot] = h.stamp
}

func raw4(a netip.AddrPort) uint32 {
	b := a.Addr().As4()
	return binary.NativeEndian.Uint32(b[:])
}

func raw6(a netip.AddrPort) [4]uint32 {
	b := a.Addr().As16()
	return *(*[4]uint32)(unsafe.Pointer(&b))
}

// ClaimTags does what the program does when a client's frames come with VLAN tags that it does not know.
func (f *Fake) ClaimTags(index uint8, t Tags) { f.tags[index] = t.word() }
