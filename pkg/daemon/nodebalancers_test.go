package daemon

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/store"
	"github.com/headgate/headgate/pkg/usage"
)

// version4Of makes the side of a rig that version 4 of the API sees.
func version4Of(r *rig) *nodebalancers {
	b := backendOf(r)
	b.d.traffic = r.traffic
	return &nodebalancers{b}
}

func TestAChangeByIDIsAppliedAndNamesItsGeneration(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		n := version4Of(r)
		d, err := n.Change(func(d *store.Draft) error {
			b, _ := d.Edit(1)
			b.Configs[0].Nodes[0].Mode = lb.Drain
			return nil
		})
		if err != nil || d.Revision != 2 {
			t.Fatal(d.Revision, err)
		}
		if g := n.Generations(); g.Desired != 2 {
			t.Errorf("%+v before the engine has run", g)
		}
		if err := n.WaitApplied(t.Context(), d.Revision); err != nil {
			t.Fatal(err)
		}
		if node := r.inMaps(t, "192.0.2.11:8080"); node.Status.Mode != lb.Drain {
			t.Errorf("%+v", node.Status)
		}
		mine := errors.New("mine")
		if _, err := n.Change(func(*store.Draft) error { return mine }); !errors.Is(err, mine) || n.Generations().Desired != 2 {
			t.Errorf("%v", err)
		}
	})
}

func TestHealthByIDIsWhatStatusShows(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		n := version4Of(r)
		b := r.store.Get().Balancers[0]
		c := &b.Configs[0]
		if got := n.Health("web", c, &c.Nodes[0]); got != lb.Unknown {
			t.Error(got)
		}
		r.checks.result(web1, lb.Up, "")
		synctest.Wait()
		if got := n.Health("web", c, &c.Nodes[0]); got != lb.Up {
			t.Error(got)
		}
		r.setMode(lb.Reject)
		synctest.Wait()
		c = &r.store.Get().Balancers[0].Configs[0]
		if got := n.Health("web", c, &c.Nodes[0]); got != lb.Down {
			t.Errorf("in reject: %s", got)
		}
	})
}

func TestFlowsByIDAreThoseOfTheMaps(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		n := version4Of(r)
		withFlows(t, r)
		b := r.store.Get().Balancers[0]
		count := func(i int) uint64 {
			c := &b.Configs[0]
			flows, entries := n.Counts(&b, c, &c.Nodes[i])
			if entries != 0 {
				t.Errorf("%d stick entries", entries)
			}
			return flows
		}
		if count(0) != 1 || count(1) != 1 {
			t.Errorf("%d, %d", count(0), count(1))
		}
		// A node that is new is found at once; one that is gone is not.
		r.add("192.0.2.13:8080")
		r.network.tell()
		synctest.Wait()
		b = r.store.Get().Balancers[0]
		if err := r.tables.AddFlow(maps.Flow{
			NodeID: r.inMaps(t, "192.0.2.13:8080").ID, Node: netip.MustParseAddrPort("192.0.2.13:8080"), Class: maps.Established, Protocol: lb.TCP,
			VIP: netip.MustParseAddrPort("203.0.113.10:80"), Client: netip.MustParseAddrPort("198.51.100.9:4000"), Source: netip.MustParseAddrPort("10.0.0.1:4000"),
		}); err != nil {
			t.Fatal(err)
		}
		if count(2) != 1 {
			t.Errorf("%d", count(2))
		}
		gone := b.Configs[0].Nodes[0]
		_, _ = r.store.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
			b[0].Configs[0].Nodes = b[0].Configs[0].Nodes[1:]
			return b, nil
		})
		synctest.Wait()
		if flows, _ := n.Counts(&b, &b.Configs[0], &gone); flows != 0 {
			t.Errorf("a node that is removed: %d", flows)
		}
	})
}

// E12: so are the clients that stick, where they do.
func TestStickEntriesByIDAreThoseOfTheMaps(t *testing.T) {
	for file, want := range map[string]uint64{stickyNodes: 3, twoNodes: 0} {
		running(t, file, func(t *testing.T, r *rig) {
			n := version4Of(r)
			withSticks(t, r)
			b := r.store.Get().Balancers[0]
			if _, got := n.Counts(&b, &b.Configs[0], &b.Configs[0].Nodes[0]); got != want {
				t.Errorf("%d entries, want %d", got, want)
			}
		})
	}
}

// disk is a database of usage in memory.
type disk struct{ saved []usage.Unsaved }

func (d *disk) Save(u usage.Unsaved) error {
	d.saved = append(d.saved, u)
	return nil
}

func TestTrafficOfABalancerIsThatOfItsNodes(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		n := version4Of(r)
		r.traffic.meter.Anew(time.Now())
		n1, n2 := r.inMaps(t, "192.0.2.11:8080"), r.inMaps(t, "192.0.2.12:8080")
		r.tables.SetTraffic(n1.ID, maps.Traffic{BytesIn: 100, BytesOut: 1000, Flows: 3})
		r.tables.SetTraffic(n2.ID, maps.Traffic{BytesIn: 10, BytesOut: 20, Flows: 1})
		time.Sleep(11 * time.Minute)
		in, out := n.Transfer(1)
		if in != 110 || out != 1020 {
			t.Errorf("%d in, %d out", in, out)
		}
		samples := n.Stats(1)
		if len(samples) < 2 || n.Stats(7) != nil {
			t.Fatalf("%v", samples)
		}
		var bits float64
		for _, s := range samples {
			bits += s.In * usage.Step.Seconds()
		}
		if bits < 879 || bits > 881 {
			t.Errorf("%f bits in %v", bits, samples)
		}
	})
}

func TestTrafficIsSavedAgainAndAgainAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		tr := &traffic{meter: usage.New(usage.State{}), disk: d, log: quiet()}
		g := newGroup(t.Context())
		g.run("traffic", tr.run)
		time.Sleep(5*time.Minute + time.Second)
		if len(d.saved) != 6 { // at once, after ten seconds, and every minute
			t.Errorf("%d times", len(d.saved))
		}
		if err := g.stop(); err != nil || len(d.saved) != 7 {
			t.Errorf("%d times, %v", len(d.saved), err)
		}
	})
}
