package health

import (
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// A node that is checked once a minute is DOWN seconds after the data path saw it fail.
func TestAReportChecksANodeAtOnce(t *testing.T) {
	minute := fiveSec
	minute.Interval, minute.Timeout = time.Minute, time.Second
	story(t, Options{}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, minute)})
		pass(2 * time.Minute)
		w.set(node(1).Address, errRefused)
		before := len(w.checks(node(1).Address))
		if !m.Hurry(node(1)) || m.Hurry(node(2)) {
			t.Error("whether a node is checked is not told")
		}
		pass(100 * time.Millisecond)
		if n := len(w.checks(node(1).Address)) - before; n != 1 {
			t.Errorf("%d checks at once", n)
		}
		pass(2 * time.Second) // it is in transition now
		m.expect(t, node(1), lb.Down)
	})
}

// TestAStormOfReportsMakesNoStormOfChecks has no more than one a second, and one at a time.
func TestAStormOfReportsMakesNoStormOfChecks(t *testing.T) {
	minute := fiveSec
	minute.Interval, minute.Timeout = time.Minute, 30*time.Second
	story(t, Options{}, func(w *world, m *Manager) {
		m.Set([]Target{target(1, minute)})
		pass(2 * time.Minute)
		before := len(w.checks(node(1).Address))
		for range 1000 {
			m.Hurry(node(1))
			pass(10 * time.Millisecond)
		}
		if n := len(w.checks(node(1).Address)) - before; n < 9 || n > 11 {
			t.Errorf("%d checks in ten seconds of reports, want ten", n)
		}
		w.slow(node(1).Address, 20*time.Second)
		pass(time.Minute)
		before = len(w.checks(node(1).Address))
		for range 100 {
			m.Hurry(node(1))
			pass(100 * time.Millisecond)
		}
		if n := len(w.checks(node(1).Address)) - before; n > 1 || w.most[node(1).Address] != 1 {
			t.Errorf("%d checks of a slow node, %d at a time", n, w.most[node(1).Address])
		}
	})
}
