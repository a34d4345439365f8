package netdev

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// A host is a network namespace. It has no name and lives as long as the test holds it open, so nothing
// is left behind, however the test ends.
type host struct {
	ns netns.NsHandle
}

func newHost(t *testing.T) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home := must(netns.Get())(t)
	defer home.Close()
	h := &host{ns: must(netns.New())(t)} // the thread is in it now
	t.Cleanup(func() { h.ns.Close() })
	defer netns.Set(home)
	lo := must(netlink.LinkByName("lo"))(t)
	check(t, netlink.LinkSetUp(lo))
	return h
}

// do runs f with the test's thread in the namespace.
func (h *host) do(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home := must(netns.Get())(t)
	defer home.Close()
	check(t, netns.Set(h.ns))
	defer netns.Set(home)
	f()
}

// cable joins two hosts by a veth pair, both ends up. Neighbours on it fail fast: requests go out
// every 50 ms instead of every second.
func cable(t *testing.T, a *host, nameA string, b *host, nameB string) {
	t.Helper()
	a.do(t, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = nameA
		check(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: nameB, PeerNamespace: netlink.NsFd(b.ns)}))
	})
	for _, end := range []struct {
		h    *host
		name string
	}{{a, nameA}, {b, nameB}} {
		end.h.sysctl(t, "ipv4/neigh/"+end.name+"/retrans_time_ms", "50")
		end.h.sysctl(t, "ipv6/neigh/"+end.name+"/retrans_time_ms", "50")
		end.h.sysctl(t, "ipv6/conf/"+end.name+"/accept_dad", "0")
		end.h.setUp(t, end.name, true)
	}
}

func (h *host) sysctl(t *testing.T, name, value string) {
	t.Helper()
	h.do(t, func() { check(t, os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0)) })
}

func (h *host) setUp(t *testing.T, name string, up bool) {
	t.Helper()
	h.do(t, func() {
		l := must(netlink.LinkByName(name))(t)
		if up {
			check(t, netlink.LinkSetUp(l))
		} else {
			check(t, netlink.LinkSetDown(l))
		}
	})
}

// addr gives a link an address; "-" before it takes it away.
func (h *host) addr(t *testing.T, name, cidr string) {
	t.Helper()
	h.do(t, func() {
		change := netlink.AddrAdd
		if cidr[0] == '-' {
			cidr, change = cidr[1:], netlink.AddrDel
		}
		a := must(netlink.ParseAddr(cidr))(t)
		if a.IP.To4() == nil {
			a.Flags = 0x02 // IFA_F_NODAD
		}
		check(t, change(must(netlink.LinkByName(name))(t), a))
	})
}

// route adds a route, or replaces the one with the same destination and metric.
func (h *host) route(t *testing.T, name string, r netlink.Route) {
	t.Helper()
	h.do(t, func() {
		if name != "" {
			r.LinkIndex = must(netlink.LinkByName(name))(t).Attrs().Index
		}
		check(t, netlink.RouteReplace(&r))
	})
}

func (h *host) mac(t *testing.T, name string) (mac [6]byte) {
	t.Helper()
	h.do(t, func() { copy(mac[:], must(netlink.LinkByName(name))(t).Attrs().HardwareAddr) })
	return mac
}

func (h *host) setMAC(t *testing.T, name, mac string) {
	t.Helper()
	h.do(t, func() {
		hw := must(net.ParseMAC(mac))(t)
		check(t, netlink.LinkSetHardwareAddr(must(netlink.LinkByName(name))(t), hw))
	})
}

// neighbour is what the kernel's table says.
func (h *host) neighbour(t *testing.T, name, ip string) (n neighbour) {
	t.Helper()
	h.do(t, func() {
		s := must(openNeighSocket())(t)
		defer s.close()
		index := must(netlink.LinkByName(name))(t).Attrs().Index
		n = must(s.list())(t)[neighKey{index, netip.MustParseAddr(ip)}]
	})
	return n
}

// fast is the timing of the tests.
var fast = timing{retry: 50 * time.Millisecond, refresh: 200 * time.Millisecond, reread: time.Hour}

// resolve runs a Resolver in the host until the test ends.
func (h *host) resolve(t *testing.T, tm timing, targets ...string) *Resolver {
	t.Helper()
	var r *Resolver
	h.do(t, func() { r = must(open(quiet(), tm, watchBuffer))(t) })
	run(t, r)
	r.MoveTargets(addrs(targets...), nil)
	return r
}

// run runs it; stop ends it before the test does.
func run(t *testing.T, r *Resolver) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// await waits for the hop to a target to be as wanted, following Changes as a user would.
func await(t *testing.T, r *Resolver, target string, ok func(NextHop) bool) NextHop {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		hop, known := r.Hops().To(netip.MustParseAddr(target))
		if known && ok(hop) {
			return hop
		}
		select {
		case <-r.Changes():
		case <-deadline:
			t.Fatalf("hop to %s stayed %+v", target, hop)
		}
	}
}

func resolved(h NextHop) bool { return h.Resolved }

func because(reason string) func(NextHop) bool {
	return func(h NextHop) bool { return !h.Resolved && h.Reason == reason }
}

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not so in time: %s", what)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func cidr(s string) *net.IPNet {
	_, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	return n
}
