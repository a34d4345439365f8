package daemon

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
)

// examined runs an engine beside the real manager of checks; node web-1 is down when bad says so.
func examined(t *testing.T, test func(t *testing.T, b *backend, bad *atomic.Bool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var bad atomic.Bool
		checks := health.New(health.Options{Log: quiet(), Check: func(_ context.Context, to netip.AddrPort, _ lb.Check) error {
			if bad.Load() && to == web1.Address {
				return errors.New("connection refused")
			}
			return nil
		}})
		r := newRig(t, twoNodes)
		r.engine.checks, r.engine.targeted = checks, 0 // who were told nothing yet
		r.takeDesired()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- checks.Run(ctx) }()
		go func() { done <- r.run(ctx) }()
		b := backendOf(r)
		b.d.checks = checks
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		test(t, b, &bad)
		cancel()
		<-done
		<-done
	})
}

func TestHealthTellsHowANodeCameByIt(t *testing.T) {
	examined(t, func(t *testing.T, b *backend, bad *atomic.Bool) {
		bad.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		list, err := b.Health(t.Context(), api.HealthQuery{Node: "web/80/web-1"})
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		n := list[0]
		if n.Health != "DOWN" || n.Reason != "connection refused" || n.TakesNew || n.Why != "takes no new flows: DOWN" || n.Check != "connection" ||
			n.IntervalMS != 2000 || n.Streak > -3 || n.Since == nil || n.CheckedAt == nil || n.DurationMS == nil || len(n.History) < 30 {
			t.Errorf("%+v", n)
		}
		if !strings.HasPrefix(n.Recent, "++++") || !strings.HasSuffix(n.Recent, "---") || len(n.Recent) != recentMost {
			t.Errorf("recent results %q", n.Recent)
		}
		first, last := n.History[0], n.History[len(n.History)-1]
		if !first.OK || first.Reason != "" || last.OK || last.Reason != "connection refused" || !last.At.Equal(*n.CheckedAt) {
			t.Errorf("first %+v, last %+v", first, last)
		}
		// The third failure in a row made it DOWN.
		if down := n.History[len(n.History)+n.Streak+2]; !down.At.Equal(*n.Since) {
			t.Errorf("DOWN since %v, but its third failure was at %v", n.Since, down.At)
		}
	})
}

func TestHealthOfManyNodesIsTheirLastResults(t *testing.T) {
	examined(t, func(t *testing.T, b *backend, _ *atomic.Bool) {
		for _, q := range []api.HealthQuery{{}, {Config: "web/80"}} {
			list, err := b.Health(t.Context(), q)
			if err != nil || len(list) != 2 || list[1].Name != "web/80/web-2" || list[1].History != nil || list[1].Recent != strings.Repeat("+", recentMost) {
				t.Errorf("%+v: %+v, %v", q, list, err)
			}
		}
		for _, q := range []api.HealthQuery{{Config: "web/81"}, {Node: "web/80/web-9"}} {
			var refused *api.Error
			if _, err := b.Health(t.Context(), q); !errors.As(err, &refused) || refused.Status != 404 {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

func TestHealthOfANodeInRejectHasNoResults(t *testing.T) {
	examined(t, func(t *testing.T, b *backend, _ *atomic.Bool) {
		if _, err := b.d.store.Update(func(next []lb.Balancer) ([]lb.Balancer, error) {
			next[0].Configs[0].Nodes[0].Mode = lb.Reject
			return next, nil
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		list, err := b.Health(t.Context(), api.HealthQuery{Node: "web/80/web-1"})
		if err != nil || list[0].Health != "DOWN" || list[0].Reason != "admin" || list[0].Recent != "" || list[0].CheckedAt != nil || list[0].Since != nil {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestStatusSaysHowChecksKeepUp(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		r.checks.stats = health.Stats{Targets: 10, Probes: 9, InFlight: 8, LagP99: 1500 * time.Microsecond, MaxLag: time.Second}
		st, err := backendOf(r).Status(t.Context())
		if err != nil || *st.Checks != (api.CheckStats{Nodes: 10, Probes: 9, InFlight: 8, LagP99MS: 1.5, LagMS: 1000}) {
			t.Errorf("%+v, %v", st.Checks, err)
		}
	})
}
