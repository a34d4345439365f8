package reconcile

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
)

// stubborn lets some writes fail for as long as the test wants, with or without their effect.
type stubborn struct {
	maps.Tables
	vips, snats, hops, words, links int // fails: 1 without effect, 2 with
	slots                           int // fails when half of them are written, so many times
}

var errStubborn = errors.New("will not")

func (s *stubborn) fail(how int, write func() error) error {
	if how != 1 {
		if err := write(); err != nil || how == 0 {
			return err
		}
	}
	return errStubborn
}

func (s *stubborn) DeleteVIP(v maps.VIP) error {
	return s.fail(s.vips, func() error { return s.Tables.DeleteVIP(v) })
}

func (s *stubborn) WriteSNATs(id uint32, r maps.SNATRange) error {
	return s.fail(s.snats, func() error { return s.Tables.WriteSNATs(id, r) })
}

func (s *stubborn) WriteHop(id uint32, h maps.Hop) error {
	return s.fail(s.hops, func() error { return s.Tables.WriteHop(id, h) })
}

func (s *stubborn) WriteLink(i uint16, l maps.Link) error {
	return s.fail(s.links, func() error { return s.Tables.WriteLink(i, l) })
}

func (s *stubborn) WriteService(id uint32, w maps.ServiceWord) error {
	return s.fail(s.words, func() error { return s.Tables.WriteService(id, w) })
}

func (s *stubborn) WriteSlots(first uint32, words []uint64) error {
	if s.slots == 0 {
		return s.Tables.WriteSlots(first, words)
	}
	s.slots--
	half := append(slices.Clone(words[:len(words)/2]), s.have(first, words)[len(words)/2:]...)
	if err := s.Tables.WriteSlots(first, half); err != nil {
		return err
	}
	return errStubborn
}

func (s *stubborn) have(first uint32, words []uint64) []uint64 {
	have, err := s.Tables.ReadSlots(first, uint32(len(words)))
	if err != nil {
		panic(err)
	}
	return have
}

// newStubborn makes a world with node a applied, whose Reconciler writes through a stubborn.
func newStubborn(t *testing.T, sizes maps.FakeSizes) (*world, *stubborn) {
	w := newWorldOf(t, sizes)
	s := &stubborn{Tables: w.tables}
	w.r = New(s, w.options())
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	return w, s
}

// struggle applies for minutes although writes fail.
func (w *world) struggle() {
	w.t.Helper()
	for range 8 {
		if _, err := w.r.Apply(w.state.View(), nil); !errors.Is(err, errStubborn) {
			w.t.Fatalf("error %v, want the write's", err)
		}
		w.clock.advance(time.Minute)
	}
}

// route changes how node a is reached.
func (w *world) route(change func(ifindex *int, source *netip.Addr)) {
	h := w.hops[address("a").Addr()]
	change(&h.IfIndex, &h.Source)
	w.hops = map[netip.Addr]netdev.NextHop{address("a").Addr(): h}
	w.setHops()
}

func TestVIPThatCannotBeTakenBackStaysOurs(t *testing.T) {
	w, s := newStubborn(t, maps.FakeSizes{})
	s.vips = 1
	w.desire()
	w.struggle()
	if !w.tables.isOurs(netip.MustParseAddr("203.0.113.10")) {
		t.Error("the VIP is published, but not ours")
	}
	s.vips = 0
	w.settle()
}

func TestSourceAddressThatMayBeNamedStays(t *testing.T) {
	w, s := newStubborn(t, maps.FakeSizes{})
	s.snats = 2
	w.route(func(_ *int, source *netip.Addr) { *source = netip.MustParseAddr("10.0.0.253") })
	if _, err := w.r.Apply(w.state.View(), nil); !errors.Is(err, errStubborn) {
		t.Fatal(err)
	}
	s.snats = 1
	w.route(func(_ *int, source *netip.Addr) { *source = netip.MustParseAddr("10.0.0.254") })
	w.struggle() // the record names .253, and the Reconciler cannot know
	s.snats = 0
	w.settle()
}

func TestLinkThatMayBeNamedStays(t *testing.T) {
	w, s := newStubborn(t, maps.FakeSizes{})
	s.hops = 2
	w.route(func(ifindex *int, _ *netip.Addr) { *ifindex = 3 })
	if _, err := w.r.Apply(w.state.View(), nil); !errors.Is(err, errStubborn) {
		t.Fatal(err)
	}
	s.hops = 1
	w.route(func(ifindex *int, _ *netip.Addr) { *ifindex = 2 })
	w.struggle()
	s.hops = 0
	w.settle()
}

func TestCommitThatFailsForLongDoesNotEatTheSlots(t *testing.T) {
	w, s := newStubborn(t, maps.FakeSizes{Slots: 8})
	s.words = 1
	w.desire(w.balancer(lb.TCP, "a", "b", "c"))
	w.struggle()
	s.words = 0
	w.settle()
	if got := w.tableOf(); got != "abc" {
		t.Errorf("table %q, want abc", got)
	}
	if free, rests := w.r.slots.left(); free != 7 || rests != 0 {
		t.Errorf("%d slots free, %d resting, want 7 free", free, rests)
	}
}

// TestTableThatWasReplacedByHalfIsCompleted lets a change of a table by hash fail half-way, and wants all of it the
// next time though nothing else has changed.
func TestTableThatWasReplacedByHalfIsCompleted(t *testing.T) {
	w, s := newStubborn(t, maps.FakeSizes{})
	w.desire(w.spread(lb.Source, 50, 30, 20))
	w.apply()
	for _, h := range []lb.Health{lb.Down, lb.Up} {
		w.health("b", h)
		s.slots = 1
		if _, err := w.r.Apply(w.state.View(), hostLinks); !errors.Is(err, errStubborn) {
			t.Fatal(err)
		}
		w.apply()
		want := newWorld(t)
		want.desire(want.spread(lb.Source, 50, 30, 20))
		want.health("b", h)
		want.apply()
		if w.tableOf() != want.tableOf() {
			t.Fatalf("b is %s: the table is not what it should be", h)
		}
	}
}

// A link that could not be written takes the hop of its nodes with it. When it can be, they get their hop back,
// although nothing in the View is new.
func TestALinkThatIsThereAtLastIsUsedWithoutANewView(t *testing.T) {
	w, s := newStubborn(t, maps.FakeSizes{})
	s.links = 1
	w.route(func(ifindex *int, _ *netip.Addr) { *ifindex = 3 })
	for range 3 {
		if _, err := w.r.Apply(w.state.View(), hostLinks); !errors.Is(err, errStubborn) {
			t.Fatalf("error %v, want the write's", err)
		}
	}
	if hop := w.node("a").Hop; hop.Resolved() {
		t.Errorf("the hop %s leaves by a link that is not there", hop)
	}
	s.links = 0
	before := w.state.View()
	w.apply()
	if hop := w.node("a").Hop; !hop.Resolved() || before != w.state.View() {
		t.Errorf("the hop is %s", hop)
	}
}

// TestWhatStandsIsNotLookedAtAgain is why a change costs the same however many services there are.
func TestWhatStandsIsNotLookedAtAgain(t *testing.T) {
	w := newWorld(t)
	one, two := w.balancer(lb.TCP, "a", "b"), w.balancer(lb.TCP, "c", "d")
	two.Label, two.IPv4 = "two", netip.MustParseAddr("203.0.113.11")
	w.desire(one, two)
	w.apply()
	// Whoever looks at a service again finds that this is not what it should be, and mends it.
	b := w.node("b")
	w.r.services[b.Service].nodes[b.Address].load.known = false
	w.desired[1].Configs[0].Nodes[0].Weight = 9
	w.desire(w.desired...)
	if done := w.apply(); done.Writes == 0 || w.r.services[b.Service].nodes[b.Address].load.known {
		t.Errorf("%d writes, and the other service was looked at, too: %v", done.Writes, w.r.services[b.Service].nodes[b.Address].load.known)
	}
	w.state.Touch(0, 1)
	if w.apply(); !w.r.services[b.Service].nodes[b.Address].load.known {
		t.Error("it is not looked at ever again")
	}
}
