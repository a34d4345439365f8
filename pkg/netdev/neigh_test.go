package netdev

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A node that is replaced by another machine with the same address does not always announce itself.
func TestNodeWithANewMACIsFoundWithoutTraffic(t *testing.T) {
	lb, node := pair(t)
	r := lb.resolve(t, fast, "10.7.0.9", "fd07::9")
	await(t, r, "10.7.0.9", resolved)
	await(t, r, "fd07::9", resolved)
	node.setMAC(t, "hgn", "02:00:00:00:99:01")
	fresh := func(h NextHop) bool { return h.Resolved && h.DstMAC == [6]byte{2, 0, 0, 0, 0x99, 1} }
	await(t, r, "10.7.0.9", fresh)
	await(t, r, "fd07::9", fresh)
}

func TestLostNeighbourIsNoticedAndFoundAgain(t *testing.T) {
	lb, node := pair(t)
	r := lb.resolve(t, fast, "10.7.0.9", "fd07::9")
	await(t, r, "10.7.0.9", resolved)
	await(t, r, "fd07::9", resolved)
	node.addr(t, "hgn", "-10.7.0.9/24")
	node.addr(t, "hgn", "-fd07::9/64")
	await(t, r, "10.7.0.9", because("neighbour 10.7.0.9 on hg0 does not answer"))
	await(t, r, "fd07::9", because("neighbour fd07::9 on hg0 does not answer"))
	node.addr(t, "hgn", "10.7.0.9/24")
	node.addr(t, "hgn", "fd07::9/64")
	await(t, r, "10.7.0.9", resolved)
	await(t, r, "fd07::9", resolved)
}

// While a neighbour is silent, the kernel alternates between asking and having failed. That is no news.
func TestSilentNeighbourIsReportedOnce(t *testing.T) {
	lb, _ := pair(t)
	r := lb.resolve(t, fast, "10.7.0.50")
	await(t, r, "10.7.0.50", because("neighbour 10.7.0.50 on hg0 does not answer"))
	quiet := time.After(time.Second) // several rounds of three requests
	clear := time.NewTicker(100 * time.Millisecond)
	defer clear.Stop()
	for {
		select {
		case <-clear.C: // somebody removes what failed; that is no answer
			lb.do(t, func() {
				l := must(netlink.LinkByName("hg0"))(t)
				err := netlink.NeighDel(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: net.ParseIP("10.7.0.50")})
				if err != nil && !errors.Is(err, unix.ENOENT) {
					t.Error(err)
				}
			})
		case <-r.Changes():
			if h, _ := r.Hops().To(netip.MustParseAddr("10.7.0.50")); h.Reason != "neighbour 10.7.0.50 on hg0 does not answer" {
				t.Fatalf("the hop changed to %+v", h)
			}
		case <-quiet:
			return
		}
	}
}

func TestFlushedNeighbourIsResolvedAgain(t *testing.T) {
	lb, node := pair(t)
	slow := fast
	slow.refresh = time.Hour
	r := lb.resolve(t, slow, "10.7.0.9")
	await(t, r, "10.7.0.9", resolved)
	lb.do(t, func() {
		l := must(netlink.LinkByName("hg0"))(t)
		check(t, netlink.NeighDel(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: net.ParseIP("10.7.0.9")}))
	})
	eventually(t, "the kernel knows it again", func() bool { return lb.neighbour(t, "hg0", "10.7.0.9").usable() })
	if h := await(t, r, "10.7.0.9", resolved); h.DstMAC != node.mac(t, "hgn") {
		t.Errorf("hop %+v", h)
	}
}

func TestStaleNeighbourIsUsedAndValidated(t *testing.T) {
	lb, node := pair(t)
	setStale := func() {
		mac := node.mac(t, "hgn")
		lb.do(t, func() {
			l := must(netlink.LinkByName("hg0"))(t)
			check(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_STALE,
				IP: net.ParseIP("10.7.0.9"), HardwareAddr: mac[:]}))
		})
	}
	setStale()
	idle := fast
	idle.retry = time.Hour
	r := lb.resolve(t, idle, "10.7.0.9")
	await(t, r, "10.7.0.9", resolved) // with nobody having asked
	if n := lb.neighbour(t, "hg0", "10.7.0.9"); n.state != netlink.NUD_STALE {
		t.Fatalf("neighbour %+v", n)
	}

	r = lb.resolve(t, fast, "10.7.0.9")
	reachable := func() bool { return lb.neighbour(t, "hg0", "10.7.0.9").state == netlink.NUD_REACHABLE }
	eventually(t, "validated after the start", reachable)
	setStale()
	eventually(t, "validated again", reachable)
	await(t, r, "10.7.0.9", resolved)
}

func TestNeighboursOfOthersAreNotTouched(t *testing.T) {
	lb, _ := pair(t)
	lb.do(t, func() {
		l := must(netlink.LinkByName("hg0"))(t)
		check(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: net.ParseIP("10.7.0.60"), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 0x60}}))
		check(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_REACHABLE, Flags: netlink.NTF_EXT_LEARNED,
			IP: net.ParseIP("10.7.0.61"), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 0x61}}))
	})
	r := lb.resolve(t, fast, "10.7.0.60", "10.7.0.61", "10.7.0.9")
	await(t, r, "10.7.0.60", func(h NextHop) bool { return h.Resolved && h.DstMAC[5] == 0x60 })
	await(t, r, "10.7.0.61", func(h NextHop) bool { return h.Resolved && h.DstMAC[5] == 0x61 })
	// Validation of what is ours goes on; had the others been validated too, they would have failed by now.
	lost := time.After(time.Second)
	for waiting := true; waiting; {
		select {
		case <-r.Changes():
		case <-lost:
			waiting = false
		}
	}
	if h, _ := r.Hops().To(netip.MustParseAddr("10.7.0.60")); !h.Resolved {
		t.Errorf("permanent neighbour: %+v", h)
	}
	if h, _ := r.Hops().To(netip.MustParseAddr("10.7.0.61")); !h.Resolved {
		t.Errorf("neighbour of a routing daemon: %+v", h)
	}
}

// What is known from events may be old when it is acted upon.
func TestPermanentNeighbourSurvivesARequestThatComesTooLate(t *testing.T) {
	lb, _ := pair(t)
	lb.do(t, func() {
		index := must(netlink.LinkByName("hg0"))(t).Attrs().Index
		key := neighKey{index, netip.MustParseAddr("10.7.0.60")}
		check(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT,
			IP: net.ParseIP("10.7.0.60"), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 0x60}}))
		s := must(openNeighSocket())(t)
		defer s.close()
		for name, request := range map[string]func(neighKey) (neighbour, error){
			"resolve": s.resolve, "validate": s.validate, "release": s.release,
		} {
			told := must(request(key))(t)
			now, ok, err := s.get(key)
			check(t, err)
			if !ok || now.state != netlink.NUD_PERMANENT || now.ours() {
				t.Errorf("after %s it is %+v", name, now)
			}
			if told != now {
				t.Errorf("%s says %+v, it is %+v", name, told, now)
			}
		}
	})
}

func TestNeighboursAreKeptAcrossARestartAndReleasedInTheEnd(t *testing.T) {
	lb, _ := pair(t)
	var r *Resolver
	lb.do(t, func() { r = must(open(quiet(), fast, watchBuffer))(t) })
	stop := run(t, r)
	r.MoveTargets(addrs("10.7.0.9", "fd07::9"), nil)
	await(t, r, "10.7.0.9", resolved)
	await(t, r, "fd07::9", resolved)
	ours := func(ip string) func() bool {
		return func() bool { return lb.neighbour(t, "hg0", ip).ours() }
	}
	released := func(ip string) func() bool {
		return func() bool { n := lb.neighbour(t, "hg0", ip); return n.usable() && !n.ours() }
	}
	eventually(t, "exempt from garbage collection", ours("10.7.0.9"))
	stop()
	if !ours("10.7.0.9")() || !ours("fd07::9")() {
		t.Error("released with the end of Run")
	}

	next := lb.resolve(t, fast, "10.7.0.9") // the other one was removed meanwhile
	eventually(t, "a target of the former run is released", released("fd07::9"))
	await(t, next, "10.7.0.9", resolved)
	if !ours("10.7.0.9")() {
		t.Error("released although in use")
	}
	next.MoveTargets(nil, addrs("10.7.0.9"))
	eventually(t, "a removed target is released", released("10.7.0.9"))

	next.MoveTargets(addrs("10.7.0.9"), nil)
	eventually(t, "exempt again", ours("10.7.0.9"))
}

func TestReleaseNeighboursLeavesNone(t *testing.T) {
	lb, _ := pair(t)
	var r *Resolver
	lb.do(t, func() { r = must(open(quiet(), fast, watchBuffer))(t) })
	stop := run(t, r)
	r.MoveTargets(addrs("10.7.0.9", "fd07::9"), nil)
	await(t, r, "10.7.0.9", resolved)
	await(t, r, "fd07::9", resolved)
	stop()
	lb.do(t, func() { check(t, ReleaseNeighbours()) })
	lb.do(t, func() {
		s := must(openNeighSocket())(t)
		defer s.close()
		for key, n := range must(s.list())(t) {
			if n.ours() {
				t.Errorf("%s is still exempt from garbage collection", key.addr)
			}
		}
	})
}

func FuzzNeighbourMessagesNeverPanic(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 1, 8, 0, 1, 0, 10, 7, 0, 9, 10, 0, 2, 0, 2, 0, 0, 0, 0, 9, 0, 0})
	f.Add([]byte{10, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0x10, 1, 5, 0, 12, 0, 72, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, n, ok := parseNeigh(b)
		if ok && !key.addr.IsValid() {
			t.Errorf("no address, but taken: %+v", n)
		}
		if p, ok := routePrefix(b); ok && !p.IsValid() {
			t.Errorf("prefix %v", p)
		}
	})
}
