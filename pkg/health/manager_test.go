package health

import (
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

func TestNewNodeIsCheckedAtOnce(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		w.set(node(2).Address, errRefused)
		m.Set([]Target{target(1, fiveSec), target(2, fiveSec)})
		pass(time.Millisecond)
		m.expect(t, node(1), lb.Up)
		m.expect(t, node(2), lb.Unknown)
		if r, _ := m.Result(node(2)); r.Reason != "1 of 3 checks failed: connection refused" || r.Streak != -1 {
			t.Errorf("result %+v", r)
		}
		pass(2 * time.Second) // in transition once a second
		m.expect(t, node(2), lb.Down)
		if got, _ := m.Snapshot().Of(node(2)); m.Snapshot().Len() != 2 || got.Key != node(2) || got.At.IsZero() {
			t.Errorf("snapshot %+v", got)
		}
	})
}

func TestNodeWithoutCheckIsNotChecked(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, lb.Check{Type: lb.CheckNone, Interval: time.Second})})
		pass(time.Minute)
		if n := len(w.checks(node(1).Address)); n != 0 || m.Snapshot().Len() != 0 {
			t.Errorf("%d checks, results %v", n, m.Snapshot())
		}
	})
}

func TestConfigsThatCheckANodeAlikeShareTheCheck(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		same, other := target(1, fiveSec), target(1, fiveSec)
		same.Key.Config.Balancer = "shop"
		other.Key.Config.Balancer, other.Check.Attempts = "slow", 5
		byPort := target(1, fiveSec) // another port of the node, the same check
		byPort.Key.Config.Port, byPort.Key.Address = 443, netip.AddrPortFrom(node(1).Address.Addr(), 8443)
		byPort.Check.Port = 8080
		m.Set([]Target{target(1, fiveSec), same, byPort})
		pass(time.Millisecond)
		for _, k := range []lb.NodeKey{node(1), same.Key, byPort.Key} {
			m.expect(t, k, lb.Up)
		}
		if n := len(w.checks(node(1).Address)); n != 1 {
			t.Errorf("%d checks for three nodes that are one", n)
		}
		m.Set([]Target{same, other})
		pass(time.Millisecond)
		if n := len(w.checks(node(1).Address)); n != 2 {
			t.Errorf("%d checks; one more was due for the node with other numbers", n)
		}
		if s := m.Stats(); s.Targets != 2 || s.Probes != 2 {
			t.Errorf("stats %+v", s)
		}
		if _, ok := m.Result(node(1)); ok {
			t.Error("a target that is gone has a result")
		}
	})
}

func TestResultOfAStoppedTargetIsDropped(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		addr := node(1).Address
		w.slow(addr, time.Second)
		m.Set([]Target{target(1, fiveSec)})
		pass(500 * time.Millisecond)
		m.Set(nil)
		pass(time.Millisecond)
		if w.now(addr) != 0 {
			t.Error("the check in flight goes on")
		}
		m.Set([]Target{target(1, fiveSec)}) // E15: as a node that leaves reject
		pass(999 * time.Millisecond)
		m.expect(t, node(1), lb.Unknown)
		if r, _ := m.Result(node(1)); r.Streak != 0 || len(m.History(node(1))) != 0 {
			t.Errorf("the former check left %+v", r)
		}
		pass(2 * time.Millisecond)
		m.expect(t, node(1), lb.Up)
		m.Set(nil)
		pass(time.Millisecond)
		before := len(w.checks(addr))
		pass(time.Minute)
		if n := len(w.checks(addr)) - before; n != 0 {
			t.Errorf("%d checks of a target that is gone", n)
		}
	})
}

// A check may need a moment to end after it was cancelled. The target that returns meanwhile waits for it.
func TestChangedCheckKeepsWhatIsKnown(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		addr := node(1).Address
		m.Set([]Target{target(1, fiveSec)})
		pass(time.Minute)
		faster := fiveSec
		faster.Interval, faster.Timeout = time.Second, time.Second/2
		before := len(w.checks(addr))
		m.Set([]Target{target(1, faster)})
		pass(time.Second)
		m.expect(t, node(1), lb.Up)
		if len(m.History(node(1))) < before || len(w.checks(addr)) == before {
			t.Errorf("history %d, checks %d, before %d", len(m.History(node(1))), len(w.checks(addr)), before)
		}
		other := faster
		other.Port = 9999
		moved := netip.AddrPortFrom(addr.Addr(), 9999)
		w.set(moved, errRefused)
		m.Set([]Target{target(1, other)})
		pass(time.Millisecond)
		m.expect(t, node(1), lb.Up)
		if len(w.checks(moved)) != 1 {
			t.Error("another port is not checked at once")
		}
		pass(2 * time.Second)
		m.expect(t, node(1), lb.Down)
	})
}

func TestSetWithTheSameTargetsChangesNothing(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		targets := []Target{target(1, fiveSec)}
		m.Set(targets)
		pass(time.Second)
		for range 600 {
			m.Set(targets)
			pass(100 * time.Millisecond)
		}
		if n := len(w.checks(node(1).Address)); n < 12 || n > 16 {
			t.Errorf("%d checks in a minute at 5 s", n)
		}
	})
}

func TestE14HealthFromBeforeARestartHoldsUntilTheFirstResults(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		var targets []Target
		for i, h := range []lb.Health{lb.Up, lb.Down, lb.Up} {
			tg := target(i, fiveSec)
			tg.Initial, tg.InitialAt = h, time.Now().Add(-time.Second)
			targets = append(targets, tg)
		}
		targets[2].InitialAt = time.Now().Add(-11 * time.Second)
		for i := range targets {
			w.slow(targets[i].Key.Address, 100*time.Millisecond)
		}
		m.Set(targets)
		pass(time.Microsecond)
		m.expect(t, node(0), lb.Up)
		m.expect(t, node(1), lb.Down)
		m.expect(t, node(2), lb.Unknown)
		pass(5200 * time.Millisecond)
		for i := range targets {
			m.expect(t, node(i), lb.Up)
		}
		if r, _ := m.Result(node(0)); !r.Since.Equal(targets[0].InitialAt) {
			t.Errorf("UP since %v, but it was known since %v", r.Since, targets[0].InitialAt)
		}
	})
}

func TestChangesAreToldOnceAndOnlyWhenThereAreSome(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		told := func() bool {
			select {
			case <-m.Changes():
				return true
			default:
				return false
			}
		}
		m.Set([]Target{target(1, fiveSec)})
		pass(time.Minute)
		if !told() || told() {
			t.Error("a first result is to be told once")
		}
		pass(time.Minute)
		if told() {
			t.Error("told though all is as it was")
		}
		w.set(node(1).Address, errRefused)
		pass(time.Minute)
		if !told() {
			t.Error("DOWN was not told")
		}
		m.Set(nil)
		pass(time.Second)
		if !told() {
			t.Error("another set was not told")
		}
	})
}

func TestHistoryKeepsTheLast64Checks(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, fiveSec)})
		pass(10 * time.Minute)
		w.set(node(1).Address, errRefused)
		pass(5 * time.Second)
		h := m.History(node(1))
		if len(h) != HistoryMost {
			t.Fatalf("%d checks remembered", len(h))
		}
		for i := 1; i < len(h); i++ {
			if !h[i].At.After(h[i-1].At) {
				t.Fatalf("out of order at %d: %v", i, h)
			}
		}
		if h[0].Reason != "" || h[len(h)-1].Reason != "connection refused" {
			t.Errorf("first %+v, last %+v", h[0], h[len(h)-1])
		}
	})
}

// E15, also where another config checks the node in the same way.
func TestNewNodeIsCheckedAtOnceThoughAnotherConfigChecksItAlready(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		slow := lb.Check{Type: lb.CheckConnection, Interval: time.Hour, Timeout: time.Second, Attempts: 3, Rise: 1}
		first, second := target(1, slow), target(1, slow)
		second.Key.Config.Balancer = "shop"
		m.Set([]Target{first})
		pass(3 * time.Hour)
		before := len(w.checks(node(1).Address))
		start := time.Now()
		second.Since = start
		m.Set([]Target{first, second})
		pass(time.Millisecond)
		if n := len(w.checks(node(1).Address)) - before; n != 1 {
			t.Fatalf("%d checks of the new node", n)
		}
		if r, _ := m.Result(second.Key); r.At.Before(start) {
			t.Errorf("its result is of %v before it came", start.Sub(r.At))
		}
		m.Set([]Target{first, second}) // nothing is new
		pass(time.Millisecond)
		if n := len(w.checks(node(1).Address)) - before; n != 1 {
			t.Errorf("%d checks, although nothing was new", n)
		}
	})
}

func TestNodeThatWasAwayForAMomentIsCheckedAtOnce(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		slow := lb.Check{Type: lb.CheckConnection, Interval: time.Hour, Timeout: time.Second, Attempts: 3, Rise: 1}
		m.Set([]Target{target(1, slow)})
		pass(3 * time.Hour)
		before := len(w.checks(node(1).Address))
		m.Set(nil)
		again := target(1, slow)
		again.Since = time.Now()
		m.Set([]Target{again}) // E15, sooner than Run has taken that it was away
		pass(time.Millisecond)
		if n := len(w.checks(node(1).Address)) - before; n != 1 {
			t.Errorf("%d checks of the node", n)
		}
	})
}

// Run may take what Set said before Set has signalled it.
func TestSignalAfterItsTargetsWereTakenChangesNothing(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, fiveSec)})
		pass(time.Minute)
		signal(m.kick)
		pass(time.Second)
		m.expect(t, node(1), lb.Up)
		m.Set(nil)
		pass(time.Second)
		if n := m.Snapshot().Len(); n != 0 {
			t.Errorf("%d targets, and none is wanted", n)
		}
	})
}
