package store

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/lb"
)

// keeper is what every store promises to those who use it.
type keeper interface {
	Get() Desired
	Change(fn func(*Draft) error) (Desired, error)
	Update(fn func([]lb.Balancer) ([]lb.Balancer, error)) (Desired, error)
	Watch() <-chan struct{}
	Close() error
}

// failer is what both tests and properties can fail with.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// opener opens the store that belongs to dir: the same one whenever dir is the same.
type opener func(t failer, dir string) keeper

// compareOptions compare what is declared; ids and notes have tests of their own.
var compareOptions = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}),
	cmpopts.IgnoreFields(Desired{}, "Notes", "lastID"), cmp.Transformer("withoutIDs", withoutIDs),
}

type nameless []lb.Balancer

func withoutIDs(balancers []lb.Balancer) nameless {
	if len(balancers) == 0 {
		return nil
	}
	balancers = lb.Clone(balancers)
	for i := range balancers {
		for id := range idsOf(&balancers[i]) {
			*id = 0
		}
	}
	return balancers
}

// exact compares everything.
var exact = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty(), cmp.AllowUnexported(Desired{})}

// testContract is the contract, for any kind of store.
func testContract(t *testing.T, open opener) {
	for name, test := range map[string]func(*testing.T, opener){
		"a new store is empty":                          testEmpty,
		"what is updated is there after reopening":      testReopen,
		"balancers keep the order of their declaration": testOrder,
		"a change that changes nothing keeps revision":  testNoChange,
		"a function that fails changes nothing":         testFailure,
		"a function that panics blocks nobody":          testPanic,
		"what is not valid is refused":                  testInvalid,
		"what fn and the caller hold is their own":      testCopies,
		"watchers hear of changes, coalesced":           testWatch,
		"changes at the same time lose nothing":         testConcurrent,
		"a closed store refuses changes":                testClosed,
		"any story gives what the model says":           testStories,
		"ids stay, and are never given again":           testIDs,
		"notes are kept":                                testNotes,
		"what others hold is not changed by a draft":    testDraftsAreTheirOwn,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func testEmpty(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	defer mustClose(t, s)
	if d := s.Get(); d.Revision != 0 || len(d.Balancers) != 0 {
		t.Errorf("%v", d)
	}
}

func testReopen(t *testing.T, open opener) {
	dir := t.TempDir()
	s := open(t, dir)
	want := set(t, s, full())
	if want.Revision != 1 {
		t.Errorf("revision %d", want.Revision)
	}
	mustClose(t, s)
	for range 2 {
		s = open(t, dir)
		if diff := cmp.Diff(want, s.Get(), compareOptions); diff != "" {
			t.Error(diff)
		}
		mustClose(t, s)
	}
}

func testOrder(t *testing.T, open opener) {
	dir := t.TempDir()
	s := open(t, dir)
	set(t, s, []lb.Balancer{balancer(3, 1), balancer(1, 1), balancer(2, 1)})
	want := []lb.Balancer{balancer(2, 1), balancer(3, 1), balancer(1, 1)}
	if d := set(t, s, want); d.Revision != 2 {
		t.Errorf("another order is a change, but the revision is %d", d.Revision)
	}
	mustClose(t, s)
	s = open(t, dir)
	defer mustClose(t, s)
	if diff := cmp.Diff(Desired{Revision: 2, Balancers: want}, s.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
}

func testNoChange(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	defer mustClose(t, s)
	want := set(t, s, full())
	changed := s.Watch()
	if diff := cmp.Diff(want, set(t, s, full()), compareOptions); diff != "" {
		t.Error(diff)
	}
	if heard(changed) {
		t.Error("the watcher heard of a change")
	}
}

func testFailure(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	defer mustClose(t, s)
	want := set(t, s, full())
	mine := errors.New("mine")
	_, err := s.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
		b[0].Configs[0].Nodes[0].Weight = 99
		return b, mine
	})
	if err != mine {
		t.Errorf("the error came back as %v", err)
	}
	if diff := cmp.Diff(want, s.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
}

func testPanic(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	defer mustClose(t, s)
	func() {
		defer func() { recover() }()
		s.Update(func([]lb.Balancer) ([]lb.Balancer, error) { panic("mine") })
	}()
	if d := set(t, s, full()); d.Revision != 1 {
		t.Errorf("revision %d", d.Revision)
	}
}

func testInvalid(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	defer mustClose(t, s)
	want := set(t, s, full())
	_, err := s.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
		b[0].Configs[0].Nodes[0].Weight = 256
		return b, nil
	})
	var faults lb.Faults
	if !errors.As(err, &faults) || faults[0].Path != "balancers[0].configs[0].nodes[0].weight" {
		t.Error(err)
	}
	if diff := cmp.Diff(want, s.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
}

func testCopies(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	defer mustClose(t, s)
	scribble := func(b []lb.Balancer) {
		b[0].Label = "scribble"
		b[0].Configs[0].Port = 9
		b[0].Configs[0].Nodes[0].Weight = 99
	}
	given := full()
	var kept []lb.Balancer
	_, err := s.Update(func(b []lb.Balancer) ([]lb.Balancer, error) { return given, nil })
	if err != nil {
		t.Fatal(err)
	}
	scribble(given) // what the function returned
	if _, err := s.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
		kept = b
		return lb.Clone(b), nil
	}); err != nil {
		t.Fatal(err)
	}
	scribble(kept) // what the function was given
	if diff := cmp.Diff(Desired{Revision: 1, Balancers: full()}, s.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
}

func testWatch(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	defer mustClose(t, s)
	one, two := s.Watch(), s.Watch()
	if heard(one) || heard(two) {
		t.Error("heard of a change before there was one")
	}
	set(t, s, []lb.Balancer{balancer(1, 1)})
	set(t, s, []lb.Balancer{balancer(1, 2)})
	for _, c := range []<-chan struct{}{one, two} {
		if !heard(c) {
			t.Error("heard nothing")
		}
		if heard(c) {
			t.Error("two changes were not taken for one")
		}
	}
	set(t, s, nil)
	if !heard(one) || !heard(two) {
		t.Error("heard nothing of the next change")
	}
}

func testConcurrent(t *testing.T, open opener) {
	dir := t.TempDir()
	s := open(t, dir)
	const workers, rounds = 8, 5
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for r := range rounds {
				_, err := s.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
					return append(b, balancer(w*rounds+r, 1)), nil
				})
				if err != nil {
					t.Error(err)
				}
				s.Get()
			}
		})
	}
	wg.Wait()
	want := s.Get()
	if want.Revision != workers*rounds || len(want.Balancers) != workers*rounds {
		t.Errorf("revision %d, %d balancers", want.Revision, len(want.Balancers))
	}
	mustClose(t, s)
	s = open(t, dir)
	defer mustClose(t, s)
	if diff := cmp.Diff(want, s.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
}

func testClosed(t *testing.T, open opener) {
	s := open(t, t.TempDir())
	want := set(t, s, full())
	mustClose(t, s)
	mustClose(t, s)
	called := false
	_, err := s.Update(func(b []lb.Balancer) ([]lb.Balancer, error) { called = true; return nil, nil })
	if !errors.Is(err, ErrClosed) || called {
		t.Errorf("%v, called %v", err, called)
	}
	if diff := cmp.Diff(want, s.Get(), compareOptions); diff != "" {
		t.Error(diff)
	}
}

func testStories(t *testing.T, open opener) {
	base := t.TempDir()
	story := 0
	rapid.Check(t, func(t *rapid.T) {
		story++
		dir := fmt.Sprintf("%s/%d", base, story)
		s := open(t, dir)
		model := Desired{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			next := lb.Clone(model.Balancers)
			i := rapid.IntRange(0, max(len(next)-1, 0)).Draw(t, "index")
			switch step := rapid.SampledFrom([]string{"add", "remove", "change", "swap", "nothing", "reopen"}).Draw(t, "step"); {
			case step == "add":
				id := rapid.IntRange(0, 20).Draw(t, "id")
				if !slices.ContainsFunc(next, func(b lb.Balancer) bool { return b.Label == balancer(id, 1).Label }) {
					next = slices.Insert(next, i, balancer(id, rapid.IntRange(0, 30).Draw(t, "nodes")))
				}
			case step == "reopen":
				mustClose(t, s)
				s = open(t, dir)
			case len(next) == 0:
			case step == "remove":
				next = slices.Delete(next, i, i+1)
			case step == "change":
				next[i].Configs[0].Port = rapid.Uint16Min(1).Draw(t, "port")
			case step == "swap":
				next[0], next[i] = next[i], next[0]
			}
			if !lb.Equal(next, model.Balancers) {
				model = Desired{Revision: model.Revision + 1, Balancers: next}
			}
			if diff := cmp.Diff(model, set(t, s, next), compareOptions); diff != "" {
				t.Fatal(diff)
			}
		}
		mustClose(t, s)
		s = open(t, dir)
		defer mustClose(t, s)
		if diff := cmp.Diff(model, s.Get(), compareOptions); diff != "" {
			t.Fatal(diff)
		}
	})
}

// set declares balancers, whatever there was.
func set(t failer, s keeper, balancers []lb.Balancer) Desired {
	t.Helper()
	d, err := s.Update(func([]lb.Balancer) ([]lb.Balancer, error) { return balancers, nil })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustClose(t failer, s keeper) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func heard(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// balancer is a valid one, different for each id, with that many nodes.
func balancer(id, nodes int) lb.Balancer {
	b := lb.Balancer{
		Label:   fmt.Sprintf("balancer-%d", id),
		IPv4:    netip.AddrFrom4([4]byte{203, 0, byte(id >> 8), byte(id)}),
		Configs: []lb.Config{{Port: 80}},
	}
	for n := range nodes {
		b.Configs[0].Nodes = append(b.Configs[0].Nodes, lb.Node{
			Label:   fmt.Sprintf("node-%d", n),
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 8080),
			Weight:  1 + n%255,
		})
	}
	b.SetDefaults()
	return b
}

// full has a value other than zero in every field.
func full() []lb.Balancer {
	return []lb.Balancer{{
		Label: "web", Tags: []string{"a", "b"}, IPv4: netip.MustParseAddr("203.0.113.10"), IPv6: netip.MustParseAddr("2001:db8::10"),
		ConnThrottle: 20, SessionThrottle: 5, Announce: true,
		Configs: []lb.Config{{
			Port: 53, Protocol: lb.UDP, Algorithm: lb.RingHash, OnNoBackend: lb.NoBackendOpen, OnDown: lb.DownReset,
			MinEligible: lb.MinEligible{N: 30, Percent: true}, FailbackDelay: time.Minute, SlowStart: 20 * time.Second,
			Stickiness: lb.StickSourceIP, StickTTL: lb.DefaultStickTTL + 1, StickRefresh: true,
			TCPIdle: lb.DefaultTCPIdle + 1, UDPIdle: lb.DefaultUDPIdle + 1,
			DrainDeadline: lb.NoDeadline, RejectDeadline: lb.DefaultRejectDeadline + 1, RemoveDeadline: lb.DefaultRemoveDeadline + 1,
			Check: lb.Check{
				Type: lb.CheckUDP, Port: 5353, UDPPort: 8053, Interval: lb.DefaultCheckInterval + 1, Timeout: lb.DefaultCheckTimeout - 1, Attempts: 7, Rise: 8,
				Passive: lb.Off, Path: "/healthz", Host: "www.example.com", Codes: "2xx", Body: "ok", TLS: lb.On, Verify: lb.Off, CAFile: "/ca.pem",
				Send: "ping", Expect: "pong", Service: "shop",
			},
			Nodes: []lb.Node{
				{Label: "ns-1", Address: netip.MustParseAddrPort("192.0.2.11:53"), Weight: 100, Mode: lb.Drain, Override: lb.OverrideDown, MaxConns: 9},
				{Label: "ns-1", Address: netip.MustParseAddrPort("[2001:db8:1::11]:53"), Weight: 255, Mode: lb.Backup, Override: lb.OverrideUp, MaxConns: 10},
			},
		}},
	}}
}
