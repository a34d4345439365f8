package maps

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/packet"
)

// stickyFake has an IPv4 and an IPv6 service, 1 and 2, whose clients stick for ten minutes to nodes of the
// same number.
func stickyFake(t *testing.T) *Fake {
	t.Helper()
	f := NewFake(FakeSizes{})
	for id, vip := range map[uint32]string{1: "203.0.113.10", 2: "2001:db8::10"} {
		must(t,
			f.WriteServiceInfo(id, ServiceInfo{VIP: VIP{netip.MustParseAddr(vip), 80, lb.TCP}, Balancer: "web"}),
			f.WriteStickPolicy(id, StickPolicy{TTL: 10 * time.Minute, Tier: 3}), f.WriteService(id, ServiceWord{Stick: true}),
			f.WriteNode(id, Node{Status: Status{Lifecycle: Present, Actions: TakesNew | Sticks, Generation: 7}, Service: id}),
		)
	}
	return f
}

func client(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) }

// sticksOf returns the clients of the entries that match, those in brackets whose entry does not hold.
func sticksOf(t *testing.T, r *Reader, q StickFilter) (clients []string) {
	t.Helper()
	for s, err := range r.Sticks(q) {
		must(t, err)
		text := s.Client.String()
		if !s.Holds {
			text = "[" + text + "]"
		}
		clients = append(clients, text)
	}
	slices.Sort(clients)
	return clients
}

func TestSticksShowsWhatIsNotDead(t *testing.T) {
	f, c6 := stickyFake(t), netip.MustParseAddr("2001:db8:c::7")
	r := f.Reader()
	must(t, f.AddStick(1, client(1), 1, time.Minute, false), f.AddStick(1, client(2), 1, 11*time.Minute, false),
		f.AddStick(1, client(3), 1, 0, true), f.AddStick(2, c6, 2, 0, false))
	same(t, "all", []string{"198.51.100.1", "198.51.100.3", "2001:db8:c::7"})(sticksOf(t, r, StickFilter{}), nil)
	same(t, "of node 2", []string{"2001:db8:c::7"})(sticksOf(t, r, StickFilter{Nodes: map[uint32]bool{2: true}}), nil)
	same(t, "of a client", []string{"198.51.100.3"})(sticksOf(t, r, StickFilter{Client: client(3)}), nil)
	same(t, "counts", map[uint32]uint64{1: 2, 2: 1})(r.CountSticks())
	for s := range r.Sticks(StickFilter{Client: client(1)}) {
		if s.Age.Round(time.Second) != time.Minute || s.Left.Round(time.Second) != 9*time.Minute || s.NodeID != 1 || s.Service != 1 {
			t.Errorf("%+v, want one minute of ten passed", s)
		}
	}

	must(t, f.WriteStickPolicy(1, StickPolicy{TTL: 10 * time.Minute, Tier: 4})) // the backups' turn is over
	same(t, "in another tier", []string{"198.51.100.1", "2001:db8:c::7"})(sticksOf(t, r, StickFilter{}), nil)
	must(t, f.WriteStatus(1, Status{Lifecycle: Present, Generation: 7})) // it is in reject
	same(t, "in reject", []string{"2001:db8:c::7", "[198.51.100.1]"})(sticksOf(t, r, StickFilter{}), nil)
	same(t, "counts in reject", map[uint32]uint64{2: 1})(r.CountSticks())
	must(t, f.WriteStatus(1, Status{Lifecycle: Present, Actions: Sticks, Generation: 8})) // it was DOWN
	same(t, "of another generation", []string{"2001:db8:c::7"})(sticksOf(t, r, StickFilter{}), nil)
	must(t, f.WriteService(2, ServiceWord{}))
	same(t, "with stickiness off", []string(nil))(sticksOf(t, r, StickFilter{}), nil)
}

func TestLivingClientsAreThoseThatCount(t *testing.T) {
	f := stickyFake(t)
	must(t, f.AddStick(1, client(1), 1, time.Minute, false), f.AddStick(1, client(2), 1, 11*time.Minute, false))
	now := jiffies64At(&f.meta, monotonic()) << throttleTimeShift
	f.ports.throttles[loader.ThrottleKey{Group: 1}] = loader.ThrottleEntry{Until: now - 1}
	f.ports.throttles[loader.ThrottleKey{Group: 2}] = loader.ThrottleEntry{Until: now + 1000<<throttleTimeShift}
	want := []ClientFill{{"sticks", fakeClients, 1}, {"throttles", fakeClients, 0}}
	same(t, "where nobody has a throttle", want)(f.Reader().LivingClients())
	must(t, f.WriteService(2, ServiceWord{Throttle: true}))
	want[1].Used = 1
	same(t, "where somebody has", want)(f.Reader().LivingClients())
	must(t, f.WriteService(1, ServiceWord{}))
	want[0].Used = 0
	same(t, "where nobody sticks", want)(f.Reader().LivingClients())
}

func TestRemoveSticksTakesAwayWhatMatches(t *testing.T) {
	f := stickyFake(t)
	r := f.Reader()
	for i := range 5 {
		must(t, f.AddStick(1, client(i), 1, 0, false))
	}
	must(t, f.AddStick(2, netip.MustParseAddr("2001:db8:c::7"), 2, 0, false))
	same(t, "of a client", 1)(r.RemoveSticks(StickFilter{Client: client(3)}))
	same(t, "of nobody", 0)(r.RemoveSticks(StickFilter{Client: client(3)}))
	same(t, "of node 1", 4)(r.RemoveSticks(StickFilter{Nodes: map[uint32]bool{1: true}}))
	same(t, "all", 1)(r.RemoveSticks(StickFilter{}))
	same(t, "left", map[uint32]uint64{})(r.CountSticks())
}

// TestProgramAndReaderAgreeOnSticks lets the real program make entries and reads them back.
func TestProgramAndReaderAgreeOnSticks(t *testing.T) {
	k, program := withProgram(t)
	vip4 := VIP{netip.MustParseAddr("203.0.113.10"), 80, lb.TCP}
	serve(t, k, 1, vip4, netip.MustParseAddrPort("10.0.0.9:8080"), netip.MustParseAddr("10.0.0.1"))
	must(t,
		k.WriteStatus(1, Status{Mode: lb.Accept, Health: lb.Up, Lifecycle: Present, Actions: TakesNew | Sticks, Generation: 9}),
		k.WriteStickPolicy(1, StickPolicy{TTL: time.Hour, Tier: 2}),
		k.WriteThrottlePolicy(1, ThrottlePolicy{Group: 4, Rate: 2}),
		k.WriteService(1, ServiceWord{Offset: 8, Length: 2, Stick: true, Throttle: true}))
	const clients = 200
	for i := range clients {
		run(t, program, packet.MustEncode(fmt.Sprintf("eth 02:00:00:00:00:02 > 02:00:00:00:00:01\n"+
			"ipv4 %s > 203.0.113.10\ntcp 5000 > 80 S seq 1000 win 64240", client(i))))
	}
	r := k.Reader()
	same(t, "entries that hold", map[uint32]uint64{1: clients})(r.CountSticks())
	for s, err := range r.Sticks(StickFilter{Client: client(42)}) {
		must(t, err)
		if s.Age > time.Minute || s.Left > time.Hour || s.Left < 59*time.Minute || s.NodeID != 1 || s.Service != 1 {
			t.Errorf("%+v, want one that was just made", s)
		}
	}
	if got := len(slices.Collect(func(yield func(Entry) bool) {
		entries, err := r.Dump("throttles")
		must(t, err)
		for e, err := range entries {
			must(t, err)
			if !yield(e) {
				return
			}
		}
	})); got != clients {
		t.Errorf("%d clients have used of their rates, want %d", got, clients)
	}
	same(t, "removed", clients)(r.RemoveSticks(StickFilter{}))
	same(t, "left", map[uint32]uint64{})(r.CountSticks())
}

func TestManySticksAreReadByMoreThanOneCall(t *testing.T) {
	k, _ := withProgram(t)
	outside := k.outside.(*kernelOutside)
	keys, entries := make([]loader.StickKey, 3*batch), make([]loader.StickEntry, 3*batch)
	for i := range keys {
		keys[i].Client[0] = uint32(i)
	}
	if _, err := outside.maps.Sticks.BatchUpdate(keys, entries, nil); err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]bool{}
	must(t, k.eachStick(func(key loader.StickKey, _ loader.StickEntry) bool {
		seen[key.Client[0]] = true
		return true
	}))
	if len(seen) != len(keys) {
		t.Errorf("%d entries are read, want %d", len(seen), len(keys))
	}
	calls := 0
	must(t, k.eachStick(func(loader.StickKey, loader.StickEntry) bool { calls++; return calls < 10 }))
	if calls != 10 {
		t.Errorf("it went on to %d entries after it was told to stop at 10", calls)
	}
}
