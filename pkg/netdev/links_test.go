package netdev

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestUnknownLinkIsAnsweredWithThoseThereAre(t *testing.T) {
	lb, _ := pair(t)
	_, err := linkIn(lb, t, "eth7")
	if !errors.Is(err, ErrNoLink) {
		t.Fatalf("error %v", err)
	}
	if want := "interface eth7: no such interface (have: hg0, lo)"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestLinkByNameTellsAllOfIt(t *testing.T) {
	lb, node := pair(t)
	l := must(linkIn(lb, t, "hg0"))(t)
	if l.Kind != "veth" || l.MTU != 1500 || !l.Up || l.MAC != lb.mac(t, "hg0") || l.Index == 0 {
		t.Errorf("link %+v", l)
	}
	for _, a := range addrs("10.7.0.1", "fd07::1") {
		if !slices.Contains(l.Addrs, a) {
			t.Errorf("link %+v lacks %s", l, a)
		}
	}
	node.setUp(t, "hgn", false)
	if l := must(linkIn(lb, t, "hg0"))(t); l.Up {
		t.Error("a link without carrier counts as up")
	}
}

func TestTentativeAddressIsNotUsable(t *testing.T) {
	var l link
	for flags, cidr := range map[int]string{0x40: "fd00::1/64", 0x08: "fd00::2/64", 0x80: "fd00::3/64", 0x44: "fd00::4/64"} {
		a := must(netlink.ParseAddr(cidr))(t)
		a.Flags = flags
		l.addAddr(*a)
	}
	slices.SortFunc(l.Addrs, netip.Addr.Compare)
	if want := addrs("fd00::3", "fd00::4"); !slices.Equal(l.Addrs, want) {
		t.Errorf("usable: %v, want %v", l.Addrs, want)
	}
}
