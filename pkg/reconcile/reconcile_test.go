package reconcile

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

func TestTableIsExactByWeight(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(lb.TCP, "a", "b", "c")
	for i, weight := range []int{50, 30, 20} {
		b.Configs[0].Nodes[i].Weight = weight
	}
	w.desire(b)
	w.apply()
	table := w.tableOf()
	for name, want := range map[string]int{"a": 5, "b": 3, "c": 2} {
		if got := strings.Count(table, name); got != want {
			t.Errorf("%s has %d of %d slots, want %d", name, got, len(table), want)
		}
	}
}

func TestActionsFollowModeAndHealth(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   lb.Mode
		health lb.Health
		onDown lb.OnDown
		open   bool
		want   maps.Actions
	}{
		{"row 1, accept and UP", lb.Accept, lb.Up, lb.DownKeep, false, maps.TakesNew},
		{"row 2, accept and Unknown", lb.Accept, lb.Unknown, lb.DownKeep, false, 0},
		{"row 3, accept and DOWN", lb.Accept, lb.Down, lb.DownKeep, false, maps.Dead},
		{"row 3, on_down reset", lb.Accept, lb.Down, lb.DownReset, false, maps.Dead | maps.ResetTCP},
		{"row 4, drain and UP", lb.Drain, lb.Up, lb.DownReset, false, 0},
		{"row 5, drain and DOWN", lb.Drain, lb.Down, lb.DownReset, false, maps.Dead | maps.ResetTCP},
		{"row 6, reject", lb.Reject, lb.Down, lb.DownReset, false, 0},
		{"row 7, backup and UP", lb.Backup, lb.Up, lb.DownKeep, false, 0},
		{"row 9, backup and DOWN", lb.Backup, lb.Down, lb.DownKeep, false, maps.Dead},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.balancer(lb.TCP, "a", "b")
			b.Configs[0].OnDown = c.onDown
			b.Configs[0].Nodes[1].Mode = c.mode
			w.desire(b)
			w.health("b", c.health)
			w.apply()
			if got := w.node("b").Status.Actions; got != c.want {
				t.Errorf("actions [%s], want [%s]", got, c.want)
			}
		})
	}
}

func TestBackupTakesOverAndGivesBack(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.mode("b", lb.Backup)
	for _, step := range []struct {
		health lb.Health
		want   string
	}{{lb.Up, "a"}, {lb.Down, "b"}, {lb.Up, "a"}} {
		w.health("a", step.health)
		w.apply()
		if got := w.tableOf(); got != step.want {
			t.Errorf("a is %s: table %q, want %q", step.health, got, step.want)
		}
	}
}

func TestOpenSendsToDownNodesWithoutMovingTheirFlows(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(lb.UDP, "a")
	b.Configs[0].OnNoBackend = lb.NoBackendOpen
	w.desire(b)
	w.health("a", lb.Down)
	w.apply()
	if s := w.node("a").Status; s.Actions != maps.TakesNew || s.Health != lb.Down {
		t.Errorf("status %+v, want DOWN and [new] only: every datagram would be picked anew", s)
	}
}

func TestNothingEligibleIsRefusedOrDropped(t *testing.T) {
	for policy, want := range map[lb.OnNoBackend]maps.ServiceWord{
		lb.NoBackendReset: {}, lb.NoBackendDrop: {Drop: true},
	} {
		w := newWorld(t)
		b := w.balancer(lb.TCP, "a")
		b.Configs[0].OnNoBackend = policy
		w.desire(b)
		w.health("a", lb.Down)
		w.apply()
		if services, _ := w.tables.Reader().Services(); len(services) != 1 || services[0].Word != want || !services[0].Published {
			t.Errorf("%s: %+v, want published %+v", policy, services, want)
		}
	}
}

func TestRemovedNodeKeepsItsIDWhileItsFlowsLive(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	id := w.node("b").ID
	w.flow("b", 1000)

	w.desire(w.balancer(lb.TCP, "a"))
	w.settle()
	n := w.node("b")
	if n.ID != id || n.Status.Lifecycle != maps.Removed || n.Status.Actions != maps.HasDeadline {
		t.Errorf("node b is %d %+v, want %d, removed, with no action but a deadline", n.ID, n.Status, id)
	}
	if got := w.tableOf(); got != "a" {
		t.Errorf("table %q, want a alone", got)
	}
	if got := w.r.Lingering(); !slices.Equal(got, []netip.Addr{address("b").Addr()}) {
		t.Errorf("lingering %v, want b's address", got)
	}

	w.tables.EndFlows(id)
	w.settle()
	if rec, _ := w.tables.ReadNode(id); rec.Status.Lifecycle != maps.Free {
		t.Errorf("node %d is %s after its last flow", id, rec.Status.Lifecycle)
	}
	if done := w.apply(); done.Removed != 0 || len(w.r.Lingering()) != 0 {
		t.Errorf("%d removed, %v lingering, want none", done.Removed, w.r.Lingering())
	}
}

func TestClosingFlowsHoldTheIDToo(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	n := w.node("b")
	err := w.tables.AddFlow(maps.Flow{
		Protocol: lb.TCP, Class: maps.Closing, NodeID: n.ID, Node: n.Address,
		Client: netip.MustParseAddrPort("198.51.100.1:1000"), VIP: netip.MustParseAddrPort("203.0.113.10:80"),
		Source: netip.MustParseAddrPort("10.0.0.254:2000"),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.desire(w.balancer(lb.TCP, "a"))
	w.settle()
	if got := w.node("b"); got.Active != 0 || got.Status.Lifecycle != maps.Removed {
		t.Errorf("node b: %+v, want removed with no active flow", got)
	}
}

func TestRemovedNodeComesBackAsItself(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	id := w.node("b").ID
	w.flow("b", 1000)
	w.desire(w.balancer(lb.TCP, "a"))
	w.settle()
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	w.health("b", lb.Up)
	w.apply()
	if n := w.node("b"); n.ID != id || n.Status.Lifecycle != maps.Present || w.tableOf() != "ab" {
		t.Errorf("node b is %d %+v in table %q, want %d, present, in ab", n.ID, n.Status, w.tableOf(), id)
	}
}

func TestRemovedConfigLetsFlowsEnd(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	w.flow("a", 1000)
	w.desire()
	w.settle()
	if vips, _ := w.tables.VIPs(); len(vips) != 0 {
		t.Errorf("still published: %v", vips)
	}
	if !w.tables.isOurs(netip.MustParseAddr("203.0.113.10")) {
		t.Error("the VIP is not ours any more, but a flow uses it")
	}
	w.tables.EndFlows(w.node("a").ID)
	w.settle()
	for _, line := range strings.Split(content(w.tables, w.tables.Reader()), "\n") {
		if !strings.HasPrefix(line, "link ") { // the host's interfaces stay
			t.Errorf("left over: %s", line)
		}
	}
}

func TestRestartKeepsIDsAndHealth(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.health("b", lb.Down)
	w.apply()
	a, b := w.node("a"), w.node("b")

	w.r = New(w.tables, w.options())
	restored, err := w.r.Restore()
	if err != nil || len(restored) != 2 {
		t.Fatalf("restored %v, %v", restored, err)
	}
	for _, r := range restored {
		want := lb.Up
		if r.Label == "b" {
			want = lb.Down
		}
		key := lb.NodeKey{Config: lb.ConfigKey{Balancer: "web", Port: 80, Protocol: lb.TCP}, Address: address(r.Label)}
		if r.Key != key || r.Health != want || !r.CheckedAt.Equal(w.clock.now) || r.Removed {
			t.Errorf("restored %+v, want %s %s checked at %s", r, key, want, w.clock.now)
		}
	}
	if done := w.apply(); done.Writes != 0 {
		t.Errorf("%d writes after a restart without a change", done.Writes)
	}
	if w.node("a").ID != a.ID || w.node("b").ID != b.ID {
		t.Error("ids changed")
	}
}

func TestNewNodeStartsItsPortsAnywhere(t *testing.T) {
	starts := map[uint64]bool{}
	for range 4 {
		w := newWorld(t)
		w.desire(w.balancer(lb.TCP, "a"))
		w.apply()
		starts[w.tables.NextPort(w.node("a").ID)] = true
	}
	if len(starts) < 2 {
		t.Errorf("four tables start at the same source port: %v", starts)
	}
}

func TestLimitsAreNamed(t *testing.T) {
	for _, c := range []struct {
		sizes maps.FakeSizes
		want  string
		table string
	}{
		{maps.FakeSizes{Nodes: 3}, "nodes: all 2 ids are in use", "ab"},
		{maps.FakeSizes{Slots: 1}, "slots: no room for a table of 2 words", ""},
		{maps.FakeSizes{VIPs: 1}, "vips: the map is full", ""},
		{maps.FakeSizes{Services: 1, VIPs: 8}, "services: all 1 ids are in use", ""},
	} {
		w := newWorldOf(t, c.sizes)
		balancers := []lb.Balancer{w.balancer(lb.TCP, "a", "b", "c", "e", "f")}
		if c.table == "" && c.sizes.Slots == 0 {
			balancers = append(balancers, w.balancer(lb.UDP, "d"))
		}
		w.desire(balancers...)
		_, err := w.r.Apply(w.state.View(), hostLinks)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.sizes, err, c.want)
		}
		if ours := c.sizes.VIPs != 1; ours && !errors.Is(err, ErrFull) { // of vips the kernel says it; services are as many
			t.Errorf("%+v: %v is not ErrFull", c.sizes, err)
		}
		if c.table != "" && w.tableOf() != c.table {
			t.Errorf("%+v: table %q, want %q: those that there is room for", c.sizes, w.tableOf(), c.table)
		}
	}
}

func TestSlotsRestBeforeTheyAreUsedAgain(t *testing.T) {
	w := newWorldOf(t, maps.FakeSizes{Slots: 2}) // of four node ids each
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	w.mode("a", lb.Drain)
	w.apply()
	w.mode("b", lb.Backup)
	w.mode("a", lb.Accept) // a and b need a table again
	w.health("a", lb.Up)
	w.mode("b", lb.Accept)
	w.health("b", lb.Up)
	if _, err := w.r.Apply(w.state.View(), hostLinks); err == nil {
		t.Fatal("slots that packets may still read were used at once")
	}
	w.clock.advance(time.Second)
	w.apply()
	if got := w.tableOf(); got != "ab" {
		t.Errorf("table %q, want ab", got)
	}
}

func TestEmptyTableLetsItsSlotsGo(t *testing.T) {
	w := newWorldOf(t, maps.FakeSizes{Slots: 1})
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	for _, name := range []string{"a", "b"} {
		w.mode(name, lb.Drain)
	}
	w.apply()
	w.clock.advance(time.Second)
	w.desire(w.desired[0], w.balancer(lb.UDP, "c", "d", "e", "f"))
	w.apply()
}

func TestRestartKnowsWhatWasRemoved(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	w.flow("b", 1000)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	restored, err := New(w.tables, w.options()).Restore()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range restored {
		if r.Removed != (r.Label == "b") {
			t.Errorf("%s: removed %v", r.Label, r.Removed)
		}
	}
}
