package state

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/schedule"
)

var (
	vip4  = netip.MustParseAddr("203.0.113.10")
	vip6  = netip.MustParseAddr("2001:db8::10")
	nodeA = netip.MustParseAddrPort("10.0.0.1:8080")
	nodeB = netip.MustParseAddrPort("10.0.0.2:8080")
	nodeD = netip.MustParseAddrPort("10.0.0.4:8080")
	nodeC = netip.MustParseAddrPort("[2001:db8:1::3]:8080")
)

// fixture is a State with one balancer of both families and a clock.
type fixture struct {
	*State
	t        *testing.T
	now      time.Time
	revision uint64
	balancer lb.Balancer
	results  map[lb.NodeKey]health.Result
	last     health.Results // the same, as they were set
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, now: time.Unix(1_800_000_000, 0), results: map[lb.NodeKey]health.Result{}}
	f.State = New(func() time.Time { return f.now })
	f.balancer = lb.Balancer{Label: "web", IPv4: vip4, IPv6: vip6, Configs: []lb.Config{{
		Port: 80, Protocol: lb.TCP, OnNoBackend: lb.NoBackendReset, OnDown: lb.DownKeep,
		TCPIdle: time.Hour, UDPIdle: time.Second,
		Check: lb.Check{Type: lb.CheckConnection, Interval: 5 * time.Second},
		Nodes: []lb.Node{
			{Label: "a", Address: nodeA, Weight: 50, Mode: lb.Accept},
			{Label: "b", Address: nodeB, Weight: 50, Mode: lb.Accept},
			{Label: "c", Address: nodeC, Weight: 50, Mode: lb.Accept},
		},
	}}}
	return f
}

func (f *fixture) desire() uint64 {
	f.revision++
	return f.SetDesired(f.revision, lb.Clone([]lb.Balancer{f.balancer}))
}

func (f *fixture) mode(i int, m lb.Mode) {
	f.balancer.Configs[0].Nodes[i].Mode = m
	f.desire()
}

func (f *fixture) key(a netip.AddrPort) lb.NodeKey {
	return lb.NodeKey{Config: lb.ConfigKey{Balancer: "web", Port: 80, Protocol: lb.TCP}, Address: a}
}

// checked lets a check of a node have a result now.
func (f *fixture) checked(a netip.AddrPort, h lb.Health) {
	f.now = f.now.Add(time.Second)
	next := map[lb.NodeKey]health.Result{}
	for k, r := range f.results {
		next[k] = r
	}
	next[f.key(a)] = health.Result{Key: f.key(a), Health: h, At: f.now, Reason: "because"}
	f.results, f.last = next, f.last.Next(next)
	f.SetHealth(f.last)
}

func (f *fixture) node(a netip.AddrPort) Node {
	f.t.Helper()
	for _, s := range f.View().Services {
		for _, n := range s.Nodes {
			if n.Key.Address == a {
				return n
			}
		}
	}
	f.t.Fatalf("no node %s in the view", a)
	return Node{}
}

func (f *fixture) signalled() bool {
	select {
	case <-f.Changed():
		return true
	default:
		return false
	}
}

func TestEachFamilyIsAServiceOfItsOwn(t *testing.T) {
	f := newFixture(t)
	f.desire()
	services := f.View().Services
	if len(services) != 2 || services[0].VIP != vip4 || services[1].VIP != vip6 {
		t.Fatalf("services %+v, want one for each VIP", services)
	}
	if len(services[0].Nodes) != 2 || len(services[1].Nodes) != 1 || services[1].Nodes[0].Key.Address != nodeC {
		t.Errorf("nodes are not with the VIP of their family: %+v", services)
	}
}

func TestFamiliesDecideOnTheirOwn(t *testing.T) {
	f := newFixture(t)
	f.desire()
	f.checked(nodeC, lb.Down)
	f.checked(nodeA, lb.Up)
	services := f.View().Services
	if services[0].Tier != schedule.Primary || services[1].Tier != schedule.None {
		t.Errorf("tiers %s and %s, want primary and none", services[0].Tier, services[1].Tier)
	}
	if !f.node(nodeA).Takes || f.node(nodeB).Takes || f.node(nodeC).Takes {
		t.Error("only a is UP, so only a takes new flows")
	}
}

func TestFamilyWithoutNodesIsRefusedNotForgotten(t *testing.T) {
	f := newFixture(t)
	f.balancer.Configs[0].Nodes = f.balancer.Configs[0].Nodes[:2]
	f.desire()
	if s := f.View().Services; len(s) != 2 || s[1].Tier != schedule.None {
		t.Errorf("services %+v, want an empty one for IPv6", s)
	}
}

func TestGenerationGoesUpWithWhatChanges(t *testing.T) {
	f := newFixture(t)
	last := f.Generation()
	step := func(what string, changes bool, do func()) {
		t.Helper()
		do()
		now := f.Generation()
		if (now != last) != changes || f.signalled() != changes {
			t.Errorf("%s: generation %d after %d, want a new one and a signal: %v", what, now, last, changes)
		}
		if f.View().Generation != now {
			t.Errorf("%s: the view is of generation %d, want %d", what, f.View().Generation, now)
		}
		last = now
	}
	hops := func(mac byte) netdev.Hops {
		return netdev.HopsOf(map[netip.Addr]netdev.NextHop{nodeA.Addr(): {Resolved: true, DstMAC: [6]byte{mac}}})
	}
	step("the first desired state", true, func() { f.desire() })
	step("the same again", false, func() { f.SetDesired(f.revision, []lb.Balancer{f.balancer}) })
	step("another mode", true, func() { f.mode(1, lb.Drain) })
	step("a first result", true, func() { f.checked(nodeA, lb.Up) })
	step("the same result", false, func() { f.checked(nodeA, lb.Up) })
	step("another result", true, func() { f.checked(nodeA, lb.Down) })
	step("hops", true, func() { f.SetHops(hops(1)) })
	step("the same hops", false, func() { f.SetHops(hops(1)) })
	step("another MAC", true, func() { f.SetHops(hops(2)) })
}

func TestTimesOfChecksPassWithoutAGeneration(t *testing.T) {
	f := newFixture(t)
	f.desire()
	f.checked(nodeA, lb.Up)
	before := f.View()
	f.checked(nodeA, lb.Up)
	f.Touch(0, 1)
	if n := f.node(nodeA); !n.CheckedAt.Equal(f.now) {
		t.Errorf("checked at %s, want %s", n.CheckedAt, f.now)
	}
	if before.Services[0].Nodes[0].CheckedAt.Equal(f.now) {
		t.Error("a view that was handed out has changed")
	}
}

func TestUnchangedViewIsTheSame(t *testing.T) {
	f := newFixture(t)
	f.desire()
	if f.View() != f.View() {
		t.Error("a view was made twice")
	}
}

func TestRejectShowsDownForAdminAndIsNotChecked(t *testing.T) {
	f := newFixture(t)
	f.desire()
	f.checked(nodeA, lb.Up)
	f.mode(0, lb.Reject)
	n := f.node(nodeA)
	if n.Shown != lb.Down || n.Reason != "admin" || n.Health != lb.Unknown || n.Takes {
		t.Errorf("%+v, want DOWN (admin) that takes nothing", n)
	}
	for _, target := range f.Targets() {
		if target.Key.Address == nodeA {
			t.Error("a rejected node is checked")
		}
	}
}

func TestE15LeavingRejectIsUnknownUntilTheNextCheck(t *testing.T) {
	f := newFixture(t)
	f.desire()
	f.checked(nodeA, lb.Up)
	f.checked(nodeB, lb.Up)
	f.mode(0, lb.Reject)
	f.mode(0, lb.Accept)
	for _, target := range f.Targets() {
		if restarted := !target.Since.IsZero(); restarted != (target.Key == f.key(nodeA)) {
			t.Errorf("%s is checked anew since %v", target.Key, target.Since)
		}
	}
	f.SetHealth(f.last) // a snapshot that the checks made before they heard of it
	if n := f.node(nodeA); n.Health != lb.Unknown || n.Takes {
		t.Errorf("%s and takes %v, want Unknown and no new flows", n.Health, n.Takes)
	}
	if n := f.node(nodeB); n.Health != lb.Up {
		t.Errorf("the other node is %s, want UP", n.Health)
	}
	f.checked(nodeA, lb.Up)
	if n := f.node(nodeA); n.Health != lb.Up || !n.Takes {
		t.Errorf("after a check: %s and takes %v, want UP", n.Health, n.Takes)
	}
}

func TestNodeThatWasAwayIsUnknown(t *testing.T) {
	f := newFixture(t)
	f.desire()
	f.checked(nodeA, lb.Up)
	all := f.balancer.Configs[0].Nodes
	f.balancer.Configs[0].Nodes = all[1:]
	f.desire()
	f.balancer.Configs[0].Nodes = all
	f.desire()
	if n := f.node(nodeA); n.Health != lb.Unknown {
		t.Errorf("%s, want Unknown", n.Health)
	}
}

func TestE14HealthOutlivesARestartForTwoIntervals(t *testing.T) {
	for _, c := range []struct {
		age  time.Duration
		want lb.Health
	}{
		{10 * time.Second, lb.Down},
		{10*time.Second + 1, lb.Unknown},
		{-10*time.Second - 1, lb.Unknown}, // the clock was set back
	} {
		f := newFixture(t)
		at := f.now.Add(-c.age)
		f.Remember(map[lb.NodeKey]Known{f.key(nodeA): {Health: lb.Down, At: at}})
		f.desire()
		if n := f.node(nodeA); n.Health != c.want {
			t.Errorf("known for %s: %s, want %s", c.age, n.Health, c.want)
		}
		targets := f.Targets()
		i := slices.IndexFunc(targets, func(t health.Target) bool { return t.Key == f.key(nodeA) })
		if i < 0 || targets[i].Initial != lb.Down || !targets[i].InitialAt.Equal(at) {
			t.Errorf("targets %+v, want a's with what was known", targets)
		}
	}
}

func TestE14RememberedHealthIsForgottenWithReject(t *testing.T) {
	f := newFixture(t)
	f.Remember(map[lb.NodeKey]Known{f.key(nodeA): {Health: lb.Up, At: f.now}})
	f.desire()
	f.mode(0, lb.Reject)
	f.mode(0, lb.Accept)
	if n := f.node(nodeA); n.Health != lb.Unknown {
		t.Errorf("%s, want Unknown", n.Health)
	}
	for _, target := range f.Targets() {
		if target.Initial != lb.Unknown {
			t.Errorf("target %s begins %s, want Unknown", target.Key, target.Initial)
		}
	}
}

func TestWithoutChecksUnknownServes(t *testing.T) {
	f := newFixture(t)
	f.balancer.Configs[0].Check = lb.Check{Type: lb.CheckNone}
	f.desire()
	f.checked(nodeA, lb.Down) // a leftover of a check that nobody asks for any more
	if n := f.node(nodeA); n.Health != lb.Unknown || !n.Takes {
		t.Errorf("%s, takes %v; want Unknown that takes new flows", n.Health, n.Takes)
	}
	if targets := f.Targets(); len(targets) != 0 {
		t.Errorf("targets %+v, want none", targets)
	}
}

func TestAddressesAreAllNodesOnce(t *testing.T) {
	f := newFixture(t)
	c := f.balancer.Configs[0]
	c.Port = 81
	f.balancer.Configs = append(f.balancer.Configs, c)
	f.mode(0, lb.Reject)
	want := []netip.Addr{nodeA.Addr(), nodeB.Addr(), nodeC.Addr()}
	if got := f.Addresses(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestNodeSaysThatItsHopIsNotKnown(t *testing.T) {
	f := newFixture(t)
	f.desire()
	if n := f.node(nodeA); n.Hop.Resolved || n.Hop.Reason == "" {
		t.Errorf("hop %+v, want a reason", n.Hop)
	}
	f.SetHops(netdev.HopsOf(map[netip.Addr]netdev.NextHop{nodeA.Addr(): {Resolved: true, IfIndex: 7}}))
	if n := f.node(nodeA); n.Hop.IfIndex != 7 {
		t.Errorf("hop %+v, want that of interface 7", n.Hop)
	}
}
