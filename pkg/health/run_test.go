package health

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

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

func TestTenThousandNodesAreSpreadAndHoldTheirInterval(t *testing.T) {
	story(t, Options{}, func(w *world, m *Manager) {
		const n = 10_000
		var targets []Target
		for i := range n {
			targets = append(targets, target(i, fiveSec))
			w.slow(node(i).Address, 20*time.Millisecond)
		}
		m.Set(targets)
		pass(3500 * time.Millisecond)
		for r := range m.Snapshot().All() {
			if r.Health != lb.Up {
				t.Fatalf("%+v", r)
			}
		}
		pass(20 * time.Second)
		if top := w.peak(); top > 150 { // evenly it would be 2,100 starts a second, 42 in flight; at first 3,300
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
		if r, _ := m.Result(node(0)); r.Reason != "cannot check: too many open files" {
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

// A host that was suspended, or stopped this process, finds the answers of good nodes too late.
func TestWhatThisHostSleptThroughIsHeldAgainstNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asleep atomic.Int64
		m := New(Options{Log: slog.New(slog.DiscardHandler), Check: func(ctx context.Context, _ netip.AddrPort, _ lb.Check) error {
			if asleep.Load() == 0 {
				return nil
			}
			time.Sleep(time.Duration(asleep.Load()))
			return ctx.Err()
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		once := fiveSec
		once.Attempts = 1
		m.Set([]Target{target(1, once)})
		pass(time.Minute)
		asleep.Store(int64(once.Timeout + overslept + time.Millisecond))
		pass(time.Minute)
		m.expect(t, node(1), lb.Up)
		asleep.Store(int64(once.Timeout + overslept))
		pass(10 * time.Second)
		m.expect(t, node(1), lb.Down)
		cancel()
		<-done
	})
}

func TestReasonIsOneLineWhateverANodeSays(t *testing.T) {
	for in, want := range map[string]string{
		"connection refused":                 "connection refused",
		"a\r\nb\x1b[31m\tc":                  "a  b [31m c",
		strings.Repeat("é", reasonMax):       strings.Repeat("é", reasonMax),
		strings.Repeat("é", reasonMax) + "x": strings.Repeat("é", reasonMax) + "…",
	} {
		if got := brief(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// The manager adds how long it was, whatever a check wraps its timeout in.
func TestEveryTimeoutIsSaidAlike(t *testing.T) {
	silent := deaf(t)
	for _, c := range []lb.Check{
		{Type: lb.CheckConnection}, httpGet("/"), httpBody("/", "x"), httpsGet(nil), {Type: lb.CheckGRPC}, {Type: lb.CheckUDP, Send: "x"},
	} {
		to := silent
		if c.Type == lb.CheckUDP {
			to, _ = answers(t, func([]byte) []byte { return nil })
		}
		err := probeOnce(t, to, c, 100*time.Millisecond)
		if got := failure(err, &method{Check: lb.Check{Timeout: 100 * time.Millisecond}}); got != "no answer within 100ms" {
			t.Errorf("%s: %q", c.Type, got)
		}
	}
}
