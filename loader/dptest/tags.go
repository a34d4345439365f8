package dptest

import (
	"encoding/binary"
	"fmt"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/packet"
)

// Tags are up to two VLAN tags as they lie in a frame, the outer one in the first four bytes. 0: none.
type Tags uint64

// TagsOf gives the tags of VLANs: one of 802.1Q, or of two the outer one of 802.1ad.
func TagsOf(ids ...uint16) Tags {
	p := packet.Packet{&packet.Ethernet{Type: packet.Give(packet.TypeVLAN)}}
	if len(ids) == 2 {
		p[0] = &packet.Ethernet{Type: packet.Give(packet.TypeServiceVLAN)}
	}
	for _, id := range ids {
		p = append(p, &packet.VLAN{ID: id})
	}
	t, _ := takeOff(encode(append(p, &packet.Data{})...))
	return t
}

// String returns type and control information of each tag, as in 81000007.
func (t Tags) String() string {
	b := binary.NativeEndian.AppendUint64(nil, uint64(t))
	if !t.double() {
		return fmt.Sprintf("%x", b[:4])
	}
	return fmt.Sprintf("%x.%x", b[:4], b[4:])
}

func (t Tags) double() bool { return t>>32 != 0 }

// bytes are the tags as they lie in a frame.
func (t Tags) bytes() []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(t))
	switch {
	case t == 0:
		return nil
	case t.double():
		return b
	}
	return b[:4]
}

// withoutDEI are the tags as replies have them.
func (t Tags) withoutDEI() Tags {
	b := binary.NativeEndian.AppendUint64(nil, uint64(t))
	b[2] &^= 0x10
	b[6] &^= 0x10
	return Tags(binary.NativeEndian.Uint64(b))
}

// elsewhere says whether frames with the tags are of another network than those without.
func (t Tags) elsewhere() bool {
	b := binary.NativeEndian.AppendUint64(nil, uint64(t))
	return b[2]&0xf != 0 || b[3] != 0 || b[6]&0xf != 0 || b[7] != 0
}

// takeOff returns the first two tags of a frame, and the frame without them.
func takeOff(frame []byte) (Tags, []byte) {
	var b [8]byte
	n := 0
	for n < 8 && len(frame) >= 14+n+4 && isTag(frame[12+n:]) {
		n += copy(b[n:], frame[12+n:16+n])
	}
	return Tags(binary.NativeEndian.Uint64(b[:])), append(append([]byte(nil), frame[:12]...), frame[12+n:]...)
}

func isTag(b []byte) bool {
	kind := binary.BigEndian.Uint16(b)
	return kind == packet.TypeVLAN || kind == packet.TypeServiceVLAN
}

// putOn returns a frame with tags.
func putOn(t Tags, frame []byte) []byte {
	return append(append(append([]byte(nil), frame[:12]...), t.bytes()...), frame[12:]...)
}

// SetLinkTags makes a link that of a VLAN interface, before hops lead there: frames leave by the interface `parent` with the tags.
func (b *Bed) SetLinkTags(index uint16, parent int, t Tags) {
	var link loader.LinkEntry
	b.lookup("links", uint32(index), &link)
	link.Flags, link.Tags, link.Parent, b.tagged[index] = loader.LinkTagged, uint64(t), uint32(parent), true
	b.update("links", uint32(index), link)
	b.space.do(func() { b.update("tx_ports", uint32(index), uint32(parent)) })
}

// CrowdTags fills all entries for clients' tags that are free with tags that no client has.
func (b *Bed) CrowdTags() {
	for i, t := range readAll[uint64](b, "tags") {
		if t == 0 && i != tagsOfLink {
			b.update("tags", uint32(i), uint64(TagsOf(4000, uint16(i))))
		}
	}
}

// LearnedTags returns all entries for clients' tags that are in use.
func (b *Bed) LearnedTags() (all []Tags) {
	for _, t := range readAll[uint64](b, "tags") {
		if t != 0 {
			all = append(all, Tags(t))
		}
	}
	return all
}

// SetLinkTags is Bed.SetLinkTags.
func (m *Model) SetLinkTags(index uint16, parent int, t Tags) {
	link := m.links[index]
	link.tags, link.parent = t, parent
	m.links[index] = link
}

// Run says what should become of a frame, and changes the model's flows accordingly.
func (m *Model) Run(ifindex int, frame []byte) Outcome {
	t, bare := takeOff(frame)
	m.sentWith, m.Owner = nil, Nobody
	out := m.decide(ifindex, bare, t)
	switch {
	case out.Verdict == Pass || out.Verdict == Drop:
		out.Frame = putOn(t, out.Frame)
	case m.sentWith != nil:
		out.Frame = putOn(*m.sentWith, out.Frame)
	default: // an answer
		out.Frame = putOn(t.withoutDEI(), out.Frame)
	}
	return out
}
