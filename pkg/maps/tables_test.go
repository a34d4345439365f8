package maps

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
)

// everyTables runs a test of Tables against each implementation.
func everyTables(t *testing.T, test func(t *testing.T, tables Tables, r *Reader)) {
	t.Run("fake", func(t *testing.T) {
		f := NewFake(FakeSizes{})
		test(t, f, f.Reader())
	})
	t.Run("kernel", func(t *testing.T) {
		k := scratchKernel(t)
		test(t, k, k.Reader())
	})
	t.Run("faulty that never fails", func(t *testing.T) {
		f := NewFake(FakeSizes{})
		test(t, NewFaulty(f, 0, 1), f.Reader())
	})
}

// scratchKernel is Tables over maps of the kernel that end with the test.
func scratchKernel(t *testing.T) *Kernel {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making BPF maps takes root")
	}
	k, m, err := Scratch(64)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loader.CloseMaps(m) })
	t.Cleanup(func() { k.Close() })
	return k
}

var (
	someNode = Node{
		Status:  Status{Mode: lb.Drain, Health: lb.Down, Override: lb.OverrideUp, Lifecycle: Present, Actions: Dead | ResetTCP, Generation: 65535},
		Hop:     Hop{Link: 3, MAC: [6]byte{2, 0, 0, 0, 0, 7}},
		Address: netip.MustParseAddrPort("10.0.0.9:8080"), Protocol: lb.TCP, Service: 5,
		Idle: Idle{TCP: time.Hour, UDP: 16 * time.Second}, SNATs: SNATRange{First: 2, Count: 3},
		Load: Load{MaxConns: 100, Weight: 50},
	}
	someVIP = VIP{netip.MustParseAddr("2001:db8::10"), 53, lb.UDP}
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

func same[T any](t *testing.T, what string, want T) func(T, error) {
	t.Helper()
	return func(got T, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", what, err, diff)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	everyTables(t, func(t *testing.T, tb Tables, _ *Reader) {
		must(t, tb.WriteNode(7, someNode))
		same(t, "node", someNode)(tb.ReadNode(7))

		n := someNode
		n.Status = Status{Mode: lb.Accept, Health: lb.Up, Override: lb.OverrideNone, Lifecycle: Removed, Actions: TakesNew | Sticks, Generation: 3}
		n.Hop, n.Idle, n.SNATs = Hop{Link: 9}, Idle{TCP: time.Minute, UDP: time.Second}, SNATRange{First: 255, Count: 1}
		n.Load = Load{MaxConns: 1<<32 - 1, Weight: 1<<16 - 1}
		must(t, tb.WriteStatus(7, n.Status), tb.WriteHop(7, n.Hop), tb.WriteIdle(7, n.Idle), tb.WriteSNATs(7, n.SNATs), tb.WriteLoad(7, n.Load))
		same(t, "node after its parts", n)(tb.ReadNode(7))

		info := NodeInfo{
			Label: "web-1", Weight: 255, CheckedAt: time.Unix(1_800_000_000, 123), ModeSince: 1<<62 + 3, RemoveAfter: 168*time.Hour - time.Millisecond,
		}
		must(t, tb.WriteNodeInfo(7, info), tb.WriteNodeInfo(8, NodeInfo{Label: "x"}))
		same(t, "node info", info)(tb.ReadNodeInfo(7))
		must(t, tb.StartNode(7, 99))
		same(t, "active", uint64(0))(tb.Active(7))

		word := ServiceWord{Offset: 100, Length: 3, Drop: true, Throttle: true}
		must(t, tb.WriteSlots(100, []uint64{7, 8, 7}), tb.WriteService(5, word))
		same(t, "service", word)(tb.ReadService(5))
		same(t, "slots", []uint64{0, 7, 8, 7, 0})(tb.ReadSlots(99, 5))
		stick, throttle := StickPolicy{TTL: 7 * 24 * time.Hour, Slides: true, Tier: 65535}, ThrottlePolicy{Group: 8191, Rate: 20}
		must(t, tb.WriteStickPolicy(5, stick), tb.WriteThrottlePolicy(5, throttle))
		same(t, "stick policy", stick)(tb.ReadStickPolicy(5))
		same(t, "throttle policy", throttle)(tb.ReadThrottlePolicy(5))
		service := ServiceInfo{VIP: someVIP, Balancer: "dns"}
		must(t, tb.WriteServiceInfo(5, service))
		same(t, "service info", service)(tb.ReadServiceInfo(5))

		must(t, tb.PutVIP(someVIP, 5))
		same(t, "vips", map[VIP]uint32{someVIP: 5})(tb.VIPs())
		announced := Announced{netip.MustParseAddr("203.0.113.10"), 7}
		announced6 := Announced{someVIP.Addr, 7}
		mac := [6]byte{2, 1, 0, 0, 0, 9}
		must(t, tb.PutAnnounced(announced, [6]byte{1}), tb.PutAnnounced(announced, mac), tb.PutAnnounced(announced6, mac), tb.PutAnnounced(Announced{someVIP.Addr, 8}, mac))
		must(t, tb.DeleteAnnounced(Announced{someVIP.Addr, 8}), tb.DeleteAnnounced(Announced{someVIP.Addr, 8}))
		same(t, "announced", map[Announced][6]byte{announced: mac, announced6: mac})(tb.Announced())

		must(t, tb.PutAddress(someVIP.Addr), tb.PutAddress(someVIP.Addr))
		same(t, "vips beside an address", map[VIP]uint32{someVIP: 5})(tb.VIPs())
		same(t, "addresses", []netip.Addr{someVIP.Addr})(tb.Addresses())
		must(t, tb.DeleteAddress(someVIP.Addr), tb.DeleteAddress(someVIP.Addr))
		same(t, "addresses", []netip.Addr(nil))(tb.Addresses())
		must(t, tb.DeleteVIP(someVIP), tb.DeleteVIP(someVIP))
		same(t, "vips", map[VIP]uint32{})(tb.VIPs())

		link := Link{IfIndex: 1, MAC: [6]byte{2, 3, 4, 5, 6, 7}}
		must(t, tb.WriteLink(1, link))
		same(t, "link", link)(tb.ReadLink(1))
		link.MTU, link.Redirect = 9000, true
		must(t, tb.WriteLink(1, link))
		same(t, "link with an MTU", link)(tb.ReadLink(1))
		must(t, tb.WriteLink(1, Link{}), tb.WriteLink(1, Link{}))
		same(t, "no link", Link{})(tb.ReadLink(1))

		for i, a := range []string{"10.0.0.1", "2001:db8::1"} {
			must(t, tb.WriteSNAT(uint16(i), netip.MustParseAddr(a)))
			same(t, "snat", netip.MustParseAddr(a))(tb.ReadSNAT(uint16(i)))
		}
		must(t, tb.WriteSNAT(1, netip.Addr{}))
		same(t, "no snat", netip.Addr{})(tb.ReadSNAT(1))
		must(t, tb.WriteOurs(1023, 1<<63))
		same(t, "ours", uint64(1<<63))(tb.ReadOurs(1023))
	})
}

func TestBeyondTheEndIsAnErrorThatNamesTheMap(t *testing.T) {
	everyTables(t, func(t *testing.T, tb Tables, _ *Reader) {
		l := tb.Limits()
		_, readSlots := tb.ReadSlots(l.Slots-1, 2)
		_, readNode := tb.ReadNode(l.Nodes)
		for name, err := range map[string]error{
			"nodes": tb.WriteNode(l.Nodes, Node{}), "nodes_info": tb.WriteNodeInfo(l.Nodes, NodeInfo{}),
			"services": tb.WriteService(l.Services, ServiceWord{}), "services ": tb.WriteStickPolicy(l.Services, StickPolicy{}),
			"services  ": tb.WriteThrottlePolicy(l.Services, ThrottlePolicy{}), "services_info": tb.WriteServiceInfo(l.Services, ServiceInfo{}),
			"slots": tb.WriteSlots(l.Slots, []uint64{1}), "slots ": readSlots, "nodes ": readNode,
			"slots  ":    tb.WriteService(0, ServiceWord{Offset: l.Slots, Length: 1}),
			"nodes_live": tb.StartNode(l.Nodes, 1), "links": tb.WriteLink(l.Links, Link{}), "ours": tb.WriteOurs(OursWords, 1),
		} {
			if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(name)) || !strings.Contains(err.Error(), "beyond the end") {
				t.Errorf("%s: error %v", name, err)
			}
		}
	})
}

func TestRedirectThatIsLostReadsAsStale(t *testing.T) {
	f := NewFake(FakeSizes{})
	must(t, f.WriteLink(1, Link{IfIndex: 1}))
	f.LosePort(1)
	same(t, "link", Link{IfIndex: 1, Stale: true})(f.ReadLink(1))
}

func TestKernelRefusesAnInterfaceThatIsNotThere(t *testing.T) {
	k := scratchKernel(t)
	err := k.WriteLink(3, Link{IfIndex: 1 << 20, MAC: [6]byte{2}})
	if err == nil || !strings.Contains(err.Error(), "interface 1048576") {
		t.Errorf("error %v, want one that names the interface", err)
	}
	same(t, "link", Link{})(k.ReadLink(3))
}

func TestFaultyFailsItsShareAndSaysSo(t *testing.T) {
	fake := NewFake(FakeSizes{})
	f := NewFaulty(fake, 0.5, 1)
	failed, effects := 0, 0
	for i := range 1000 {
		must(t, fake.WriteOurs(0, 0))
		if err := f.WriteOurs(0, uint64(i)+1); err != nil {
			if !errors.Is(err, ErrInjected) {
				t.Fatal(err)
			}
			failed++
			if w, _ := fake.ReadOurs(0); w != 0 {
				effects++
			}
		}
	}
	if failed < 400 || failed > 600 || f.Failed() != failed {
		t.Errorf("%d of 1000 failed, Failed says %d; want about half", failed, f.Failed())
	}
	if effects < failed/3 || effects > failed*2/3 {
		t.Errorf("%d of %d failed writes took effect, want about half", effects, failed)
	}
}

func TestStartServiceClearsWhatWasRefused(t *testing.T) {
	everyTables(t, func(t *testing.T, tb Tables, r *Reader) {
		must(t, tb.WriteServiceInfo(5, ServiceInfo{VIP: someVIP, Balancer: "web"}), tb.StartService(5))
		refusals, err := r.Refusals()
		if err != nil || len(refusals) != 1 || refusals[0].ID != 5 || refusals[0].Balancer != "web" || len(refusals[0].Reasons) > 0 {
			t.Errorf("%+v, %v", refusals, err)
		}
		if err := tb.StartService(1 << 20); err == nil || !strings.Contains(err.Error(), "services_stats[1048576]") {
			t.Errorf("of an id that the map has not: %v", err)
		}
	})
}
