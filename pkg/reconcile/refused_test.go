package reconcile

import (
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// refusals gives those of the only service.
func (w *world) refusals() maps.Refusals {
	w.t.Helper()
	all, err := w.tables.Reader().Refusals()
	if err != nil || len(all) != 1 {
		w.t.Fatalf("refusals of %d services, %v", len(all), err)
	}
	return all[0]
}

// TestAnIDThatGoesToAnotherServiceInheritsNoRefusals gives an id to another service, by a process that knows of
// its past only what the maps say.
func TestAnIDThatGoesToAnotherServiceInheritsNoRefusals(t *testing.T) {
	w := newWorldOf(t, maps.FakeSizes{Services: 1})
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	id := w.refusals().ID
	w.tables.CountRefused(id, loader.FirstRefused(), 7)
	w.desire()
	w.settle()
	w.reopen()
	other := w.balancer(lb.TCP, "b")
	other.Label, other.IPv4 = "other", netip.MustParseAddr("203.0.113.12")
	w.desire(other)
	w.apply()
	if got := w.refusals(); got.ID != id || got.Balancer != "other" || len(got.Reasons) > 0 {
		t.Errorf("service %d of %s has %v, want service %d of other, and nothing refused", got.ID, got.Balancer, got.Reasons, id)
	}
}

func TestAServiceKeepsItsRefusals(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	w.tables.CountRefused(w.refusals().ID, loader.FirstRefused(), 7)
	kept := func(when string) {
		t.Helper()
		if got := w.refusals().Reasons; len(got) != 1 || got[0].Packets != 7 {
			t.Errorf("%s: %v, want 7", when, got)
		}
	}
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	kept("after a change")
	w.settle()
	w.restart()
	w.desire(w.balancer(lb.TCP, "b"))
	w.apply()
	kept("after a restart")
	w.clock.advance(time.Hour)
	w.apply()
	kept("after an hour")
}
