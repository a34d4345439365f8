package daemon

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
)

// TestWhatIsShownCanBeAskedForByItsID of everything that takes a name.
func TestWhatIsShownCanBeAskedForByItsID(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		withFlows(t, r)
		b := backendOf(r)
		st, err := b.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		declared := r.store.Get().Balancers[0]
		balancer, config, node := fmt.Sprint(declared.ID), fmt.Sprint(declared.Configs[0].ID), fmt.Sprint(declared.Configs[0].Nodes[0].ID)
		if got, err := st.Balancer(balancer); err != nil || got.Name != "web" || got.ID != declared.ID {
			t.Errorf("balancer %s: %+v, %v", balancer, got, err)
		}
		for _, name := range []string{config, balancer + "/80"} {
			if got, err := st.Config(name); err != nil || got.Name != "web/80" || got.ID != declared.Configs[0].ID {
				t.Errorf("config %s: %+v, %v", name, got, err)
			}
			if n, err := b.CountFlows(t.Context(), api.FlowQuery{Config: name}); err != nil || len(n) != 3 {
				t.Errorf("flows of config %s: %v, %v", name, n, err)
			}
		}
		for _, name := range []string{node, balancer + "/80/web-1"} {
			if got, err := st.Node(name); err != nil || got.Name != "web/80/web-1" || fmt.Sprint(got.ID) != node {
				t.Errorf("node %s: %+v, %v", name, got, err)
			}
			if n, err := b.CountFlows(t.Context(), api.FlowQuery{Node: name}); err != nil || len(n) != 2 {
				t.Errorf("flows of node %s: %v, %v", name, n, err)
			}
		}
		for _, id := range []string{"4711", balancer} {
			if got, err := st.Node(id); err == nil {
				t.Errorf("there is no node %s: %+v", id, got)
			}
		}
		r.setMode(lb.Drain)
		synctest.Wait()
		for _, name := range []string{node, "web/80/192.0.2.11:8080", "web/80/web-1"} {
			n := 0
			for e := range b.Events(t.Context(), api.EventQuery{Filter: events.Filter{Node: name, Kinds: []events.Kind{events.Changed}}}) {
				if n++; e.Node != "web/80/web-1" {
					t.Errorf("events of %s: %+v", name, e)
				}
			}
			if n != 1 {
				t.Errorf("%d events of %s", n, name)
			}
		}
	})
}
