package reconcile

import (
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// sticky makes a balancer as world.balancer does, to whose nodes clients stick.
func (w *world) sticky(nodes ...string) lb.Balancer {
	b := w.balancer(lb.TCP, nodes...)
	b.Configs[0].Stickiness, b.Configs[0].StickTTL = lb.StickTable, time.Hour
	return b
}

// stick has a client be given a node of the first service, as the program does.
func (w *world) stick(client, name string) {
	w.t.Helper()
	n := w.node(name)
	if err := w.tables.AddStick(n.Service, netip.MustParseAddr(client), n.ID, 0, n.Status.Mode == lb.Backup); err != nil {
		w.t.Fatal(err)
	}
}

// held says how many stick entries to a node hold.
func (w *world) held(name string) uint64 {
	w.t.Helper()
	counts, err := w.tables.Reader().CountSticks()
	if err != nil {
		w.t.Fatal(err)
	}
	return counts[w.node(name).ID]
}

// reopen is a new Reconciler on the old maps, which have rested by then.
func (w *world) reopen() {
	w.clock.advance(grace)
	w.r = New(w.tables, w.options())
}

func TestStickEntriesHoldByModeAndHealth(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(w *world)
		want uint64
	}{
		{"row1/accept-up", func(*world) {}, 1},
		{"row3/accept-down", func(w *world) { w.health("a", lb.Down) }, 0},
		{"row4/drain-up", func(w *world) { w.mode("a", lb.Drain) }, 1},
		{"row4/drain-up-while-all-are-down", func(w *world) { w.mode("a", lb.Drain); w.health("b", lb.Down) }, 1},
		{"row5/drain-down", func(w *world) { w.mode("a", lb.Drain); w.health("a", lb.Down) }, 0},
		{"row6/reject", func(w *world) { w.mode("a", lb.Reject) }, 0},
		{"row7/backup-up", func(w *world) { w.mode("a", lb.Backup) }, 0},
		{"row8/backup-up-and-active", func(w *world) { w.mode("a", lb.Backup); w.health("b", lb.Down) }, 1},
		{"row9/backup-down", func(w *world) { w.mode("a", lb.Backup); w.health("a", lb.Down); w.health("b", lb.Down) }, 0},
		{"row10/removed", func(w *world) { w.desire(w.sticky("b")) }, 0},
		{"without-stickiness", func(w *world) { w.desire(w.balancer(lb.TCP, "a", "b")) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.desire(w.sticky("a", "b"))
			w.apply()
			w.stick("198.51.100.1", "a")
			c.set(w)
			w.apply()
			if got := w.held("a"); got != c.want {
				t.Errorf("%d entries hold, want %d", got, c.want)
			}
		})
	}
}

// E5: entries die when their node goes DOWN, and do not come to life again when it recovers; neither does a
// restart of the daemon change that, nor a write that fails.
func TestE5EntriesOfANodeThatWasDownStayDead(t *testing.T) {
	w := newWorld(t)
	w.desire(w.sticky("a", "b"))
	w.apply()
	w.stick("198.51.100.1", "a")
	w.stick("198.51.100.2", "b")
	before := w.node("a").Status.Generation
	w.health("a", lb.Down)
	w.apply()
	w.reopen()
	w.apply()
	if got := w.node("a").Status.Generation; got != before+1 {
		t.Errorf("generation %d, want %d: it went DOWN once", got, before+1)
	}
	w.health("a", lb.Up)
	w.apply()
	if a, b := w.held("a"), w.held("b"); a != 0 || b != 1 {
		t.Errorf("%d and %d entries hold, want none of a and that of b", a, b)
	}
	w.stick("198.51.100.1", "a")
	w.reopen()
	w.apply()
	if got := w.held("a"); got != 1 {
		t.Errorf("%d new entries hold after a restart, want 1", got)
	}
}

func TestE5EntriesDieOnceHoweverOftenTheWriteFails(t *testing.T) {
	w := newWorld(t)
	w.desire(w.sticky("a", "b"))
	w.apply()
	w.stick("198.51.100.1", "a")
	before := w.node("a").Status.Generation
	w.health("a", lb.Down)
	faulty := maps.NewFaulty(w.tables, 0.5, 1)
	w.r.t = faulty
	for failed := 0; failed < 3; {
		if _, err := w.r.Apply(w.state.View(), hostLinks); err != nil {
			failed++
			continue
		}
		w.health("a", lb.Down) // it stood: nothing new
		w.r = New(faulty, w.options())
		w.clock.advance(grace)
	}
	faulty.SetRate(0)
	w.apply()
	if got := w.node("a").Status.Generation; got != before+1 {
		t.Errorf("generation %d, want %d", got, before+1)
	}
	w.health("a", lb.Up)
	w.apply()
	if got := w.held("a"); got != 0 {
		t.Errorf("%d entries hold, want none", got)
	}
}

// E6: entries that the backups made die with their turn.
func TestE6EntriesOfTheBackupsDieWithTheirTurn(t *testing.T) {
	w := newWorld(t)
	w.desire(w.sticky("a", "b"))
	w.mode("b", lb.Backup)
	w.apply()
	for turn := range 3 {
		w.health("a", lb.Down)
		w.apply()
		if got := w.held("b"); got != 0 {
			t.Errorf("turn %d begins with %d entries that hold, want none", turn, got)
		}
		w.stick("198.51.100.1", "b")
		w.reopen()
		w.apply()
		if got := w.held("b"); got != 1 {
			t.Errorf("in turn %d %d entries hold after a restart, want 1", turn, got)
		}
		w.health("a", lb.Up)
		w.apply()
		if got := w.held("b"); got != 0 {
			t.Errorf("after turn %d %d entries hold, want none", turn, got)
		}
	}
}

func TestNextTierNeverComesBackSoon(t *testing.T) {
	if got := nextTier(0, false); got != 2 {
		t.Errorf("a new service begins with tier %d, want 2", got)
	}
	if got := nextTier(0, true); got != 3 {
		t.Errorf("a new service whose backups serve begins with tier %d, want 3", got)
	}
	for _, tier := range []uint16{2, 3, 4, 65534, 65535} {
		for _, backups := range []bool{false, true} {
			got := nextTier(tier, backups)
			if odd := got%2 == 1; odd != backups || got < 2 {
				t.Errorf("tier %d, backups serve %v: %d", tier, backups, got)
			}
			if same := tier%2 == 1 == backups; same != (got == tier) {
				t.Errorf("tier %d, backups serve %v: %d; it stays while nothing changes", tier, backups, got)
			}
		}
	}
}

func TestAnIDThatGoesToAnotherNodeInheritsNoEntries(t *testing.T) {
	w := newWorldOf(t, maps.FakeSizes{Nodes: 3}) // ids 1 and 2
	w.desire(w.sticky("a", "b"))
	w.apply()
	w.stick("198.51.100.1", "a")
	id := w.node("a").ID
	w.desire(w.sticky("b"))
	w.settle()
	w.reopen() // what is known of the free id is in the maps alone
	w.desire(w.sticky("c", "b"))
	w.apply()
	if got := w.node("c"); got.ID != id {
		t.Fatalf("node c has id %d, want %d: the test proves nothing", got.ID, id)
	}
	if got := w.held("c"); got != 0 {
		t.Errorf("%d entries hold that were made for another node", got)
	}
}

func TestANodeThatIsRemovedAndComesBackHasNoEntries(t *testing.T) {
	w := newWorld(t)
	w.desire(w.sticky("a", "b"))
	w.apply()
	w.stick("198.51.100.1", "a")
	w.desire(w.sticky("b"))
	w.apply()
	w.desire(w.sticky("a", "b"))
	w.apply()
	if got := w.held("a"); got != 0 {
		t.Errorf("%d entries hold, want none", got)
	}
}

// A balancer's services of one protocol share what a client may open, of both families and all ports.
func TestThrottleIsSharedByABalancersServicesOfAProtocol(t *testing.T) {
	w := newWorld(t)
	throttled := func(label, v4, v6 string) lb.Balancer {
		b := w.balancer(lb.TCP)
		b.Label, b.IPv4, b.IPv6, b.ConnThrottle, b.SessionThrottle = label, netip.MustParseAddr(v4), netip.MustParseAddr(v6), 5, 3
		tls, dns := b.Configs[0], w.balancer(lb.UDP).Configs[0]
		tls.Port = 443
		b.Configs = append(b.Configs, tls, dns)
		return b
	}
	groups := func() map[string]map[uint32]int {
		services, err := w.tables.Reader().Services()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]map[uint32]int{}
		for _, s := range services {
			p, _ := w.tables.ReadThrottlePolicy(s.ID)
			if want := map[lb.Protocol]int{lb.TCP: 5, lb.UDP: 3}[s.VIP.Protocol]; s.Word.Throttle && p.Rate != want {
				t.Errorf("%s: rate %d, want %d", s.VIP, p.Rate, want)
			}
			name := s.Balancer + " " + string(s.VIP.Protocol)
			if out[name] == nil {
				out[name] = map[uint32]int{}
			}
			if s.Word.Throttle {
				out[name][p.Group]++
			}
		}
		return out
	}
	one, two := throttled("one", "203.0.113.10", "2001:db8::10"), throttled("two", "203.0.113.20", "2001:db8::20")
	w.desire(one, two)
	w.apply()
	first := groups()
	seen := map[uint32]string{}
	for name, services := range map[string]int{"one tcp": 4, "one udp": 2, "two tcp": 4, "two udp": 2} {
		if len(first[name]) != 1 {
			t.Fatalf("%s has groups %v, want one", name, first[name])
		}
		for group, n := range first[name] {
			if other := seen[group]; n != services || other != "" {
				t.Errorf("%s: group %d has %d services, want %d; it is that of %q, too", name, group, n, services, other)
			}
			seen[group] = name
		}
	}

	// Without the first config, and after a restart, the others have the group that they had.
	one.Configs = one.Configs[1:]
	w.reopen()
	w.desire(one, two)
	w.settle()
	for group, n := range groups()["one tcp"] {
		if first["one tcp"][group] == 0 || n != 2 {
			t.Errorf("group %d of %d services, want 2 in the group of before", group, n)
		}
	}
	one.ConnThrottle = 0
	w.desire(one)
	w.settle()
	if got := groups(); len(got["one tcp"]) != 0 || len(got["one udp"]) != 1 {
		t.Errorf("groups %v, want only that of UDP", got)
	}
}
