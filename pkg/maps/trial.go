package maps

import (
	"iter"
	"maps"
	"slices"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/packet"
)

// Trial is what would become of a packet, and of the flows that it meets.
type Trial struct {
	Verdict string // pass, drop, tx or redirect
	Reason  string // as in loader.ReasonNames
	Fate    string // as in loader.ReasonFates
	Frame   []byte // as it would leave
	Flow    *Flow  // the packet's own as it would be afterwards; nil: it has none
	Was     *Flow  // the same before; nil: it is new
	Reply   bool   // the packet goes from the node to the client
	Gone    []Flow // others that would leave the table to make room
}

// verdicts of XDP, as the kernel numbers them.
var verdicts = []string{"aborted", "drop", "pass", "tx", "redirect"}

// Verdict gives the word for a verdict of XDP.
func Verdict(v uint32) string {
	if int(v) < len(verdicts) {
		return verdicts[v]
	}
	return verdicts[0]
}

// Trial makes sense of the outcome of a rehearsal with this Reader's maps. sent is the packet as it came.
func (r *Reader) Trial(sent []byte, o loader.Outcome) Trial {
	t := Trial{Verdict: Verdict(o.Verdict), Reason: o.Reason, Frame: o.Frame}
	if i := slices.Index(loader.ReasonNames(), o.Reason); i >= 0 {
		t.Fate = loader.ReasonFates()[i]
	}
	now := jiffiesAt(&r.meta, r.clock())
	found := r.flowsIn(few4(o.Found4), maps.Keys(o.Found4), now)
	maps.Copy(found, r.flowsIn(few6(o.Found6), maps.Keys(o.Found6), now))
	left := r.flowsIn(few4(o.Left4), maps.Keys(o.Left4), now)
	maps.Copy(left, r.flowsIn(few6(o.Left6), maps.Keys(o.Left6), now))
	for k, f := range found {
		if _, stays := left[k]; !stays {
			t.Gone = append(t.Gone, f)
		}
	}
	slices.SortFunc(t.Gone, func(a, b Flow) int { return a.Client.Compare(b.Client) })
	if sent, _, ok := packet.TupleOf(packet.Decode(sent)); ok {
		t.own(sent, found, left)
	}
	return t
}

// own finds the packet's flow. An ICMP error has the flow of the packets that go its way.
func (t *Trial) own(sent packet.Tuple, found, left map[flowKey]Flow) {
	key := tuple{sent.Src, sent.Dst}
	for k, f := range left {
		if k.proto != sent.Protocol || key != k.in && key != k.out.reverse() {
			continue
		}
		t.Flow, t.Reply = &f, key != k.in
		if was, there := found[k]; there {
			t.Was = &was
		}
	}
}

// flowKey tells flows apart: what the client sends, and what its node gets of it.
type flowKey struct {
	proto   uint8
	in, out tuple
}

// flowsIn reads the flows whose forward halves lie in these buckets, joined with the other if that is known.
func (r *Reader) flowsIn(t buckets, known iter.Seq[uint32], now uint32) map[flowKey]Flow {
	flows := map[flowKey]Flow{}
	for bucket := range known {
		for slot := range uint32(bucketSlots) {
			h, ok := readHalf(t, bucket*bucketSlots+slot)
			if !ok || !h.forward() {
				continue
			}
			f := r.flow(&h, now)
			r.join(t, &f, &h, now)
			flows[flowKey{h.proto, h.key, h.nat}] = f
		}
	}
	return flows
}

// few4 and few6 are some buckets of a table, by their number; the others are empty.
type (
	few4 map[uint32]loader.Bucket4
	few6 map[uint32]loader.Bucket6
)

const anyBucket = ^uint32(0)

func (f few4) len() uint32                               { return anyBucket }
func (f few4) head(bucket uint32) *loader.BucketHead     { return family4{f[bucket]}.head(0) }
func (f few4) word(bucket, slot uint32) *loader.FlowWord { return family4{f[bucket]}.word(0, slot) }
func (f few4) read(bucket, slot uint32) half             { return family4{f[bucket]}.read(0, slot) }

func (f few6) len() uint32                               { return anyBucket }
func (f few6) head(bucket uint32) *loader.BucketHead     { return family6{f[bucket]}.head(0) }
func (f few6) word(bucket, slot uint32) *loader.FlowWord { return family6{f[bucket]}.word(0, slot) }
func (f few6) read(bucket, slot uint32) half             { return family6{f[bucket]}.read(0, slot) }
