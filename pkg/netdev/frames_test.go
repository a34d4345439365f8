package netdev

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/headgate/headgate/pkg/packet"
)

// neighbours are two hosts on one network, and the frames of the first.
func neighbours(t *testing.T) (us, them *host, f *Frames) {
	t.Helper()
	us, them = newHost(t), newHost(t)
	cable(t, us, "eth0", them, "eth1")
	us.addr(t, "eth0", "10.0.0.1/24")
	us.addr(t, "eth0", "2001:db8::1/64")
	them.addr(t, "eth1", "10.0.0.2/24")
	them.addr(t, "eth1", "2001:db8::2/64")
	us.do(t, func() { f = must(OpenFrames(us.index(t, "eth0")))(t) })
	t.Cleanup(func() { check(t, f.Close()) })
	return us, them, f
}

func (h *host) index(t *testing.T, name string) (index int) {
	t.Helper()
	h.do(t, func() { index = must(netlink.LinkByName(name))(t).Attrs().Index })
	return index
}

// next gives the next frame that holds what is looked for.
func next(t *testing.T, f *Frames, holds string) string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		for {
			b, err := f.Receive()
			if err != nil {
				return
			}
			if text := packet.Format(b); strings.Contains(text, holds) {
				got <- text
				return
			}
		}
	}()
	select {
	case text := <-got:
		return text
	case <-time.After(10 * time.Second):
		t.Fatalf("no frame with %q", holds)
		return ""
	}
}

// TestFramesComeAndGo has a kernel ask for addresses that nobody has, and believe who says that it has one.
func TestFramesComeAndGo(t *testing.T) {
	us, them, f := neighbours(t)
	mac := packet.MAC(us.mac(t, "eth0"))
	for _, vip := range []netip.Addr{netip.MustParseAddr("10.0.0.77"), netip.MustParseAddr("2001:db8::77")} {
		them.do(t, func() { _ = exec.Command("ping", "-c1", "-W1", vip.String()).Start() })
		next(t, f, vip.String())
		layers := packet.Packet{&packet.Ethernet{Src: mac, Dst: packet.MAC(them.mac(t, "eth1"))}}
		if vip.Is4() {
			layers = append(layers, &packet.ARP{Operation: packet.ARPReply, SenderMAC: mac, Sender: vip, TargetMAC: packet.MAC(them.mac(t, "eth1")), Target: netip.MustParseAddr("10.0.0.2")})
		} else {
			layers = append(layers, &packet.IPv6{Src: vip, Dst: netip.MustParseAddr("2001:db8::2"), HopLimit: 255},
				&packet.ICMP{V6: true, Type: packet.NeighbourAdvertisement, Rest: packet.NeighbourSolicited | packet.NeighbourOverride},
				&packet.Neighbour{Target: vip, TargetMAC: mac})
		}
		frame := must(layers.Encode())(t)
		eventually(t, vip.String()+" is known", func() bool {
			check(t, f.Send(frame))
			found := false
			them.do(t, func() {
				for _, n := range must(netlink.NeighList(0, 0))(t) {
					found = found || n.IP.Equal(net.IP(vip.AsSlice())) && bytes.Equal(n.HardwareAddr, mac[:])
				}
			})
			return found
		})
	}
}

func TestFramesEndWithClose(t *testing.T) {
	us := newHost(t)
	them := newHost(t)
	cable(t, us, "eth0", them, "eth1")
	var f *Frames
	us.do(t, func() { f = must(OpenFrames(us.index(t, "eth0")))(t) })
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := f.Receive(); err != nil {
				ended <- err
				return
			}
		}
	}()
	check(t, f.Close())
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	us.do(t, func() {
		if _, err := OpenFrames(99); err == nil {
			t.Error("an interface that is not there was opened")
		}
	})
}

// TestAGroupThatIsJoinedOutlivesWhoJoined looks at what the kernel lets in, and what it tells switches.
func TestAGroupThatIsJoinedOutlivesWhoJoined(t *testing.T) {
	us, them := newHost(t), newHost(t)
	cable(t, us, "eth0", them, "eth1")
	us.addr(t, "eth0", "2001:db8::1/64")
	group := packet.SolicitedNode(netip.MustParseAddr("2001:db8::ab:cdef"))
	member := func() (in bool) {
		us.do(t, func() {
			out, err := exec.Command("ip", "maddress", "show", "dev", "eth0").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			in = strings.Contains(string(out), "33:33:ff:ab:cd:ef") && strings.Contains(string(out), "ff02::1:ffab:cdef")
		})
		return in
	}
	index := us.index(t, "eth0")
	if member() {
		t.Fatal("a member before it joined")
	}
	us.do(t, func() { check(t, JoinGroup(index, group)); check(t, JoinGroup(index, group)) })
	if !member() {
		t.Error("no member")
	}
	us.do(t, func() {
		l := must(LinkByName("eth0"))(t)
		for _, a := range l.Addrs {
			if a.IsMulticast() {
				t.Errorf("%s counts as an address of the link", a)
			}
		}
		check(t, LeaveGroup(index, group))
		check(t, LeaveGroup(index, group))
		check(t, LeaveGroup(99, group))
	})
	if member() {
		t.Error("still a member")
	}
}
