package netdev

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// After an overflow, a message from before would undo what was read since.
func TestDrainLeavesNoOldMessage(t *testing.T) {
	lb, _ := pair(t)
	lb.do(t, func() {
		s := must(subscribe(8192))(t)
		defer s.Close()
		index := must(netlink.LinkByName("hg0"))(t).Attrs().Index
		for i := range 500 {
			check(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT,
				IP: net.IPv4(10, 7, 1, byte(i)), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 1, byte(i)}}))
		}
		for overflow := false; !overflow; {
			_, _, err := s.Receive()
			overflow = errors.Is(err, unix.ENOBUFS)
			if err != nil && !overflow {
				t.Fatal(err)
			}
		}
		check(t, drain(s))
		check(t, netlink.NeighDel(&netlink.Neigh{LinkIndex: index, IP: net.IPv4(10, 7, 1, 1)}))
		msgs, _, err := s.Receive()
		check(t, err)
		if msgs[0].Header.Type != unix.RTM_DELNEIGH && msgs[0].Header.Type != unix.RTM_NEWNEIGH {
			t.Fatalf("message of type %d", msgs[0].Header.Type)
		}
		if key, _, _ := parseNeigh(msgs[0].Data); key.addr != netip.MustParseAddr("10.7.1.1") {
			t.Errorf("the first message after drain is about %s", key.addr)
		}
	})
}

func TestPrefixOfARouteIsRead(t *testing.T) {
	v4 := []byte{unix.AF_INET, 24, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0, 8, 0, 1, 0, 10, 7, 0, 0}
	v6 := append([]byte{unix.AF_INET6, 32, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0, 20, 0, 1, 0, 0xfd, 7}, make([]byte, 14)...)
	all := []byte{unix.AF_INET, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0}
	for want, msg := range map[string][]byte{"10.7.0.0/24": v4, "fd07::/32": v6, "0.0.0.0/0": all} {
		if p, ok := routePrefix(msg); !ok || p.String() != want {
			t.Errorf("read %v (%v), want %s", p, ok, want)
		}
	}
	if _, ok := routePrefix(v4[:8]); ok {
		t.Error("half a message is read")
	}
	if _, ok := routePrefix(append([]byte{unix.AF_MPLS}, v4[1:]...)); ok {
		t.Error("a route of another family is read")
	}
}
