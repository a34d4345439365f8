package netdev

import (
	"slices"

	"github.com/vishvananda/netlink"
)

// kindVLAN is the Link.Kind of VLAN links.
const kindVLAN = "vlan"

// maxTags is how many VLAN tags a frame has at most for the data path.
const maxTags = 2

// Tag is the tag of a VLAN link.
type Tag struct {
	Type uint16 // 0x8100 (IEEE 802.1Q) or 0x88a8 (IEEE 802.1ad)
	ID   uint16
}

// vlan is what a VLAN link says of itself.
type vlan struct {
	below int // index of the link that it is on; 0: in another network namespace
	tag   Tag
}

// vlanOf reads what a VLAN link says of itself; nil for other links.
func vlanOf(l netlink.Link) *vlan {
	v, ok := l.(*netlink.Vlan)
	if !ok {
		return nil
	}
	out := &vlan{below: v.ParentIndex, tag: Tag{Type: uint16(v.VlanProtocol), ID: uint16(v.VlanId)}}
	if v.NetNsID >= 0 {
		out.below = 0
	}
	return out
}

// resolveVLANs finds what is below each VLAN link. Where that ends in a link without tags and there are no more
// than two on the way, it is the parent; two tags also leave less room than one.
func resolveVLANs(links map[int]link) {
	for i, l := range links {
		if l.vlan == nil {
			continue
		}
		l.Parent, l.Tags = 0, nil
		at := l
		for at.vlan != nil && len(l.Tags) <= maxTags {
			l.Tags = append(l.Tags, at.vlan.tag)
			at = links[at.vlan.below] // of index 0 where there is none
		}
		if at.vlan == nil && at.Index != 0 && len(l.Tags) <= maxTags {
			l.Parent = at.Index
			l.MTU = min(l.MTU, at.MTU-4*(len(l.Tags)-1))
		} else {
			l.Tags = nil
		}
		slices.Reverse(l.Tags)
		links[i] = l
	}
}
