package netdev

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
)

// vlanLink is a VLAN link as netlink describes it. The tests' kernels need not have such links.
func vlanLink(index, below, id int, proto netlink.VlanProtocol) *netlink.Vlan {
	attrs := netlink.NewLinkAttrs()
	attrs.Index, attrs.ParentIndex, attrs.MTU, attrs.EncapType = index, below, 1500, "ether"
	attrs.HardwareAddr = []byte{2, 0, 0, 0, 0, byte(index)}
	return &netlink.Vlan{LinkAttrs: attrs, VlanId: id, VlanProtocol: proto}
}

func TestVLANLinksHaveTheTagsOfAllBelowThem(t *testing.T) {
	elsewhere := vlanLink(8, 2, 8, netlink.VLAN_PROTOCOL_8021Q)
	elsewhere.NetNsID = 3
	attrs := netlink.NewLinkAttrs()
	attrs.Index, attrs.MTU = 2, 1500
	links := map[int]link{}
	for _, l := range []netlink.Link{
		&netlink.Veth{LinkAttrs: attrs},
		vlanLink(5, 2, 100, netlink.VLAN_PROTOCOL_8021AD),
		vlanLink(6, 5, 200, netlink.VLAN_PROTOCOL_8021Q),
		vlanLink(7, 6, 300, netlink.VLAN_PROTOCOL_8021Q),
		elsewhere,
		vlanLink(9, 10, 9, netlink.VLAN_PROTOCOL_8021Q),
	} {
		links[l.Attrs().Index] = newLink(l)
	}
	resolveVLANs(links)
	outer, inner := Tag{0x88a8, 100}, Tag{0x8100, 200}
	for index, want := range map[int]Link{
		2: {MTU: 1500},
		5: {Parent: 2, Tags: []Tag{outer}, MTU: 1500},
		6: {Parent: 2, Tags: []Tag{outer, inner}, MTU: 1496}, // a link takes one tag beyond its MTU
		7: {MTU: 1500},                                       // three tags
		8: {MTU: 1500},                                       // on a link of another namespace
		9: {MTU: 1500},                                       // on a link that is not there
	} {
		if l := links[index]; l.Parent != want.Parent || !slices.Equal(l.Tags, want.Tags) || l.MTU != want.MTU {
			t.Errorf("link %d: parent %d, tags %v, MTU %d; want %d, %v, %d", index, l.Parent, l.Tags, l.MTU, want.Parent, want.Tags, want.MTU)
		}
	}
}

func TestHopByAVLANLinkNamesItsParent(t *testing.T) {
	attrs := netlink.NewLinkAttrs()
	attrs.Index, attrs.Name, attrs.MTU = 2, "eth0", 1500
	target := &target{addr: netip.MustParseAddr("10.0.5.7"), path: path{ifindex: 5, via: netip.MustParseAddr("10.0.5.7")}}
	w := &world{links: map[int]link{}, neighs: map[neighKey]neighbour{}}
	for _, l := range []netlink.Link{&netlink.Veth{LinkAttrs: attrs}, vlanLink(5, 2, 100, netlink.VLAN_PROTOCOL_8021Q)} {
		n := newLink(l)
		n.Up = true
		w.links[n.Index] = n
	}
	target.gateway = &gateway{key: neighKey{5, target.path.via}}
	resolveVLANs(w.links)
	if hop := w.hop(target); hop.Parent != "eth0" || hop.IfIndex != 5 || !hop.Pending {
		t.Errorf("hop %+v", hop)
	}
	below := w.links[5]
	below.vlan = &vlan{below: 0}
	w.links[5] = below
	resolveVLANs(w.links)
	if hop := w.hop(target); hop.Resolved || !strings.Contains(hop.Reason, "another network namespace") {
		t.Errorf("hop %+v, want it said that its parent is elsewhere", hop)
	}
}

func TestOffloadThatTakesTagsOffIsSeen(t *testing.T) {
	lb, _ := pair(t)
	lb.do(t, func() {
		tool := must(ethtool.NewEthtool())(t)
		defer tool.Close()
		for _, on := range []bool{true, false} {
			if err := tool.Change("hg0", map[string]bool{"rx-vlan-hw-parse": on, "rx-vlan-stag-hw-parse": false}); err != nil {
				t.Fatal(err)
			}
			if yes, err := (&Resolver{}).StripsTags("hg0"); yes != on || err != nil {
				t.Errorf("rx-vlan-hw-parse %v: strips %v, %v", on, yes, err)
			}
		}
		if _, err := (&Resolver{}).StripsTags("hg7"); err == nil || !strings.Contains(err.Error(), "hg7") {
			t.Errorf("an interface that is not there: %v", err)
		}
	})
}
