package reconcile

import (
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
)

func vlanTags(id uint16) maps.Tags { return maps.Tags{{Type: maps.VLAN, ID: id}} }

// crowd claims count entries of tags, and lets one flow use the first.
func crowd(t *testing.T, w *world, count int) (node uint32) {
	t.Helper()
	for i := 1; i <= count; i++ {
		w.tables.ClaimTags(uint8(i), vlanTags(uint16(i)))
	}
	n := w.node("a")
	err := w.tables.AddFlowFrom(maps.Flow{
		Protocol: lb.TCP, Class: maps.Established, NodeID: n.ID, Node: n.Address,
		Client: netip.MustParseAddrPort("198.51.100.1:1000"), VIP: netip.MustParseAddrPort("203.0.113.10:80"),
		Source: netip.MustParseAddrPort("10.0.0.254:2000"),
	}, maps.Hop{Link: maps.LinkSlot(2, 0), MAC: [6]byte{2}, Tags: 1})
	if err != nil {
		t.Fatal(err)
	}
	return n.ID
}

// tagsLeft applies for some minutes and returns how many entries are in use then.
func tagsLeft(t *testing.T, w *world) (n int) {
	t.Helper()
	for range 8 {
		w.apply()
		w.clock.advance(time.Minute)
	}
	for i := 1; i < maps.TagsMax; i++ {
		tags, retired, err := w.tables.ReadTags(uint8(i))
		if err != nil || retired {
			t.Fatalf("tags %d: retired %v, %v", i, retired, err)
		}
		if tags != (maps.Tags{}) {
			n++
		}
	}
	return n
}

func TestTagsAreFreedWhenTheirTableFills(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	crowd(t, w, tagsMany)
	if n := tagsLeft(t, w); n != 1 {
		t.Errorf("%d entries are left, want that of the flow", n)
	}
	if got, _, err := w.tables.ReadTags(1); got != vlanTags(1) || err != nil {
		t.Errorf("the flow's replies leave with %v, %v", got, err)
	}
}

func TestFewTagsStay(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	crowd(t, w, tagsMany-1)
	if n := tagsLeft(t, w); n != tagsMany-1 {
		t.Errorf("%d entries are left, want all %d", n, tagsMany-1)
	}
}

// A flow that was opened while its tags were being retired keeps them, and others may use them again.
func TestRetiredTagsOfAFlowAreBack(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	crowd(t, w, 3)
	for i := uint8(1); i <= 3; i++ {
		if err := w.tables.RetireTags(i, true); err != nil { // by a daemon that ended then
			t.Fatal(err)
		}
	}
	w.apply()
	if _, retired, _ := w.tables.ReadTags(2); !retired {
		t.Error("entry 2 is freed without a rest")
	}
	if n := tagsLeft(t, w); n != 1 {
		t.Errorf("%d entries are left, want that of the flow", n)
	}
}

func TestLinkOfAVLANIsWrittenWithItsTags(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	h := w.hops[address("a").Addr()]
	h.IfIndex, h.SrcMAC = 7, [6]byte{2, 7}
	w.hops[address("a").Addr()] = h
	w.setHops()
	links := append([]netdev.Link{
		{Index: 7, Kind: "vlan", MAC: h.SrcMAC, MTU: 1496, Parent: 3, Tags: []netdev.Tag{{Type: 0x88a8, ID: 5}, {Type: 0x8100, ID: 6}}},
		{Index: 8, Kind: "vlan", MAC: h.SrcMAC, MTU: 1500}, // three tags: nothing leaves by it
	}, hostLinks...)
	if _, err := w.r.Apply(w.state.View(), links); err != nil {
		t.Fatal(err)
	}
	hop := w.node("a").Hop
	want := maps.Link{IfIndex: 7, MAC: h.SrcMAC, MTU: 1496, Parent: 3, Tags: maps.Tags{{Type: maps.ServiceVLAN, ID: 5}, {Type: maps.VLAN, ID: 6}}}
	if l, err := w.tables.ReadLink(hop.Link); l != want || err != nil || hop.Tags != maps.TagsOfLink {
		t.Errorf("hop %s by %+v, %v; want %+v", hop, l, err, want)
	}
	// A parent that is a veth does not take what is to go back out by it.
	links = append(links[:2:2], netdev.Link{Index: 3, Kind: "veth", MAC: [6]byte{2, 3}, MTU: 1500})
	if _, err := w.r.Apply(w.state.View(), links); err != nil {
		t.Fatal(err)
	}
	want.Redirect = true
	if l, err := w.tables.ReadLink(hop.Link); l != want || err != nil {
		t.Errorf("over a veth: %+v, %v; want %+v", l, err, want)
	}
	if l, err := w.tables.ReadLink(maps.LinkSlot(8, 0)); l.IfIndex != 0 || err != nil {
		t.Errorf("link %+v, %v; want none", l, err)
	}
}
