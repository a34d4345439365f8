package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// world is nodes that answer as they are told, in the fake time of a bubble.
type world struct {
	mu     sync.Mutex
	down   map[netip.AddrPort]error
	takes  map[netip.AddrPort]time.Duration // a check lasts so long, or until its timeout
	starts map[netip.AddrPort][]time.Time
	flying map[netip.AddrPort]int
	most   map[netip.AddrPort]int // flying at a time
	all    int                    // flying, all together
	top    int
}

func newWorld() *world {
	return &world{
		down: map[netip.AddrPort]error{}, takes: map[netip.AddrPort]time.Duration{}, starts: map[netip.AddrPort][]time.Time{},
		flying: map[netip.AddrPort]int{}, most: map[netip.AddrPort]int{},
	}
}

func (w *world) check(ctx context.Context, to netip.AddrPort, _ lb.Check) error {
	w.mu.Lock()
	w.starts[to] = append(w.starts[to], time.Now())
	w.flying[to]++
	w.most[to] = max(w.most[to], w.flying[to])
	w.all++
	w.top = max(w.top, w.all)
	takes, err := w.takes[to], w.down[to]
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.flying[to]--
		w.all--
	}()
	select {
	case <-time.After(takes):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) set(to netip.AddrPort, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down[to] = err
}

func (w *world) slow(to netip.AddrPort, takes time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takes[to] = takes
}

func (w *world) checks(to netip.AddrPort) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.starts[to]...)
}

// now is how many checks of a node run.
func (w *world) now(to netip.AddrPort) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flying[to]
}

// mostOf is how many checks of a node ran at a time.
func (w *world) mostOf(to netip.AddrPort) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most[to]
}

// peak is how many checks ran at a time since it was last asked.
func (w *world) peak() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	top := w.top
	w.top = w.all
	return top
}

var (
	errRefused = errors.New("connection refused")
	fiveSec    = lb.Check{Type: lb.CheckConnection, Interval: 5 * time.Second, Timeout: 2 * time.Second, Attempts: 3, Rise: 1}
)

func node(i int) lb.NodeKey {
	addr := netip.AddrFrom4([4]byte{10, 7, byte(i / 256), byte(i)})
	return lb.NodeKey{Config: lb.ConfigKey{Balancer: "web", Port: 80, Protocol: lb.TCP}, Address: netip.AddrPortFrom(addr, 8080)}
}

func target(i int, check lb.Check) Target { return Target{Key: node(i), Check: check} }

// story runs f beside a running Manager, in fake time.
func story(t *testing.T, opts Options, f func(w *world, m *Manager)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		opts.Check = w.check
		if opts.Log == nil {
			opts.Log = slog.New(slog.DiscardHandler)
		}
		m := New(opts)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		f(w, m)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if w.peak(); w.peak() != 0 {
			t.Error("checks outlived Run")
		}
	})
}

// pass lets fake time pass, and everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d) // of the bubble: nobody waits
	synctest.Wait()
}

func (m *Manager) expect(t *testing.T, key lb.NodeKey, want lb.Health) {
	t.Helper()
	if r, _ := m.Result(key); r.Health != want {
		t.Errorf("%s is %s (%s), want %s", key.Address, r.Health, r.Reason, want)
	}
}

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
		if got := m.Snapshot(); len(got) != 2 || got[node(2)].Key != node(2) || got[node(2)].At.IsZero() {
			t.Errorf("snapshot %+v", got)
		}
	})
}

func TestNodeWithoutCheckIsNotChecked(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, lb.Check{Type: lb.CheckNone, Interval: time.Second})})
		pass(time.Minute)
		if n := len(w.checks(node(1).Address)); n != 0 || len(m.Snapshot()) != 0 {
			t.Errorf("%d checks, results %v", n, m.Snapshot())
		}
	})
}

func TestChecksKeepTheirIntervalWithinItsJitter(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, fiveSec)})
		pass(10 * time.Minute)
		starts := w.checks(node(1).Address)
		gaps := map[time.Duration]bool{}
		for i := 2; i < len(starts); i++ { // the second check is moved, to spread nodes over the interval
			gap := starts[i].Sub(starts[i-1])
			gaps[gap] = true
			if gap < 4500*time.Millisecond || gap > 5*time.Second {
				t.Errorf("check %d came %v after the one before", i, gap)
			}
		}
		if len(gaps) < 50 {
			t.Errorf("only %d different gaps: no jitter", len(gaps))
		}
	})
}

func TestDownIsKnownWithinOneInterval(t *testing.T) {
	once := fiveSec
	once.Attempts = 1
	story(t, Options{}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, once)})
		for i := range 200 {
			w.set(node(1).Address, nil)
			pass(6 * time.Second)
			m.expect(t, node(1), lb.Up)
			pass(time.Duration(i) * 25 * time.Millisecond) // at any moment between two checks
			w.set(node(1).Address, errRefused)
			pass(5 * time.Second)
			m.expect(t, node(1), lb.Down)
		}
	})
}

func TestNodeInTransitionIsCheckedEverySecond(t *testing.T) {
	check := fiveSec
	check.Rise = 3
	story(t, Options{}, func(w *world, m *Manager) {
		addr := node(1).Address
		m.Set([]Target{target(1, check)})
		pass(time.Minute)
		w.set(addr, errRefused)
		before := len(w.checks(addr))
		pass(5*time.Second + 2*time.Second)
		m.expect(t, node(1), lb.Down)
		pass(time.Minute)
		w.set(addr, nil)
		pass(5*time.Second + 2*time.Second)
		m.expect(t, node(1), lb.Up)
		starts := w.checks(addr)[before:]
		if gap := starts[1].Sub(starts[0]); gap < 900*time.Millisecond || gap > time.Second {
			t.Errorf("after the first failure the next check came in %v", gap)
		}
	})
}

func TestShortIntervalIsKeptInTransition(t *testing.T) {
	check := lb.Check{Type: lb.CheckConnection, Interval: 100 * time.Millisecond, Timeout: 50 * time.Millisecond, Attempts: 3, Rise: 1}
	story(t, Options{}, func(w *world, m *Manager) {
		w.set(node(1).Address, errRefused)
		m.Set([]Target{target(1, check)})
		pass(199 * time.Millisecond)
		m.expect(t, node(1), lb.Down)
		pass(10 * time.Second)
		if n := len(w.checks(node(1).Address)); n < 100 || n > 115 {
			t.Errorf("%d checks in 10 s at an interval of 100 ms", n)
		}
	})
}

func TestCheckEndsWithItsTimeoutAndNeverOverlapsTheNext(t *testing.T) {
	check := fiveSec
	check.Timeout = 3 * time.Second
	story(t, Options{}, func(w *world, m *Manager) {
		addr := node(1).Address
		w.slow(addr, time.Hour)
		m.Set([]Target{target(1, check)})
		pass(9*time.Second + time.Millisecond) // in transition, but each waits for the one before
		m.expect(t, node(1), lb.Down)
		if r, _ := m.Result(node(1)); r.Reason != "no answer within 3s" || r.Duration != 3*time.Second {
			t.Errorf("result %+v", r)
		}
		if n := len(m.History(node(1))); n != 3 {
			t.Errorf("%d checks until DOWN, want 3", n)
		}
		pass(time.Minute)
		if most := w.mostOf(addr); most != 1 {
			t.Errorf("%d checks of one node at a time", most)
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
func TestReturningTargetWaitsForItsFormerCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most, n int
		m := New(Options{Log: slog.New(slog.DiscardHandler), Check: func(context.Context, netip.AddrPort, lb.Check) error {
			flying++ // only one at a time: that is what is tested, by the race detector too
			n++
			most = max(most, flying)
			time.Sleep(300 * time.Millisecond) // whatever its context says
			flying--
			return nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		m.Set([]Target{target(1, fiveSec)})
		pass(100 * time.Millisecond)
		m.Set(nil)
		pass(time.Millisecond)
		m.Set([]Target{target(1, fiveSec)})
		pass(time.Second)
		m.expect(t, node(1), lb.Up)
		if n < 2 || most != 1 {
			t.Errorf("%d checks, %d at a time", n, most)
		}
		cancel()
		<-done
	})
}

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

func TestTenThousandNodesAreSpreadAndHoldTheirInterval(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		const n = 10_000
		var targets []Target
		for i := range n {
			targets = append(targets, target(i, fiveSec))
			w.slow(node(i).Address, 20*time.Millisecond)
		}
		m.Set(targets)
		pass(1500 * time.Millisecond)
		for _, r := range m.Snapshot() {
			if r.Health != lb.Up {
				t.Fatalf("%+v", r)
			}
		}
		pass(6 * time.Second)
		w.peak() // of the beginning
		pass(15 * time.Second)
		if top := w.peak(); top > 100 { // evenly it would be 2,100 starts a second, 42 in flight
			t.Errorf("up to %d checks at a time: not spread", top)
		}
		for i := range n {
			starts := w.checks(node(i).Address)
			for j := 1; j < len(starts); j++ {
				if gap := starts[j].Sub(starts[j-1]); gap > 5*time.Second+20*time.Millisecond {
					t.Fatalf("node %d: %v between two checks", i, gap)
				}
			}
		}
		if s := m.Stats(); s.Targets != n || s.MaxLag > 0 || s.Done < 4*n {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestChecksInFlightAreBoundedAndTheLagIsTold(t *testing.T) {
	story(t, Options{MaxInFlight: 2}, func(w *world, m *Manager) {
		for i := range 5 {
			w.slow(node(i).Address, time.Hour)
		}
		m.Set([]Target{target(0, fiveSec), target(1, fiveSec), target(2, fiveSec), target(3, fiveSec), target(4, fiveSec)})
		pass(time.Second)
		if top := w.peak(); top != 2 || m.Stats().InFlight != 2 {
			t.Errorf("%d checks at a time, stats %+v", top, m.Stats())
		}
		pass(4 * time.Second)
		if lag := m.Stats().MaxLag; lag < 3*time.Second || lag > 4*time.Second {
			t.Errorf("lag %v; the last had to wait for two timeouts of 2 s", lag)
		}
		for i := range 5 {
			w.slow(node(i).Address, 0)
		}
		pass(3 * time.Minute)
		if lag := m.Stats().MaxLag; lag != 0 {
			t.Errorf("lag %v long after", lag)
		}
	})
}

func TestWhatThisHostCannotDoIsHeldAgainstNobody(t *testing.T) {
	var log strings.Builder
	story(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, fiveSec), target(2, fiveSec)})
		pass(time.Minute)
		for i := range 3 {
			w.set(node(i).Address, fmt.Errorf("%w: too many open files", ErrInconclusive))
		}
		m.Set([]Target{target(0, fiveSec), target(1, fiveSec), target(2, fiveSec)})
		pass(30 * time.Second)
		m.expect(t, node(1), lb.Up)
		m.expect(t, node(0), lb.Unknown)
		if r, _ := m.Result(node(0)); r.Reason != "cannot be checked: cannot check: too many open files" {
			t.Errorf("reason %q", r.Reason)
		}
		if s := m.Stats(); s.Inconclusive < 50 || s.Failed != 0 {
			t.Errorf("stats %+v", s)
		}
	})
	if n := strings.Count(log.String(), "cannot be made"); n != 1 {
		t.Errorf("%d warnings in half a minute:\n%s", n, &log)
	}
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
		if len(h) != historyLen {
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
