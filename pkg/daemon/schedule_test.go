package daemon

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

var web2 = lb.NodeKey{Config: web1.Config, Address: netip.MustParseAddrPort("192.0.2.12:8080")}

// shown is a node as status has it.
func (r *rig) shown(t *testing.T, name string) (api.Node, api.Config) {
	t.Helper()
	st, err := backendOf(r).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n, err := st.Node(name)
	if err != nil {
		t.Fatal(err)
	}
	return n, st.Configs[0]
}

// TestE22SlowStartGoesOnByItself lets nothing but time happen after a node has recovered.
func TestE22SlowStartGoesOnByItself(t *testing.T) {
	running(t, strings.Replace(twoNodes, "check: connection", "check: connection\n        slow_start: 9s", 1), func(t *testing.T, r *rig) {
		for _, result := range []lb.Health{lb.Up, lb.Down, lb.Up} {
			r.checks.result(web1, result, "")
			r.checks.result(web2, lb.Up, "")
			synctest.Wait()
		}
		for percent := 10; percent <= 100; percent += 10 {
			n := r.inMaps(t, "192.0.2.11:8080")
			if n.Load.Weight != uint16(50*percent/10) {
				t.Errorf("%d %%: its flows are divided by %d", percent, n.Load.Weight)
			}
			if shown, _ := r.shown(t, "web/80/web-1"); percent < 100 && shown.Why != fmt.Sprintf("takes new flows: slow start: %d %% of its weight", percent) {
				t.Errorf("%d %%: %s", percent, shown.Why)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if shown, _ := r.shown(t, "web/80/web-1"); shown.Why != "takes new flows: UP" {
			t.Errorf("after it: %s", shown.Why)
		}
	})
}

// TestE4FailbackDelayGoesByItself lets primaries come back, and time pass.
func TestE4FailbackDelayGoesByItself(t *testing.T) {
	content := strings.Replace(twoNodes, "check: connection", "check: connection\n        failback_delay: 3s", 1)
	running(t, strings.Replace(content, "weight: 100", "mode: backup", 1), func(t *testing.T, r *rig) {
		for _, result := range []lb.Health{lb.Up, lb.Down, lb.Up} {
			r.checks.result(web1, result, "")
			r.checks.result(web2, lb.Up, "")
			synctest.Wait()
		}
		serving := func(address string) bool { return r.inMaps(t, address).Status.Actions&maps.TakesNew != 0 }
		time.Sleep(2900 * time.Millisecond)
		synctest.Wait()
		if !serving("192.0.2.12:8080") || serving("192.0.2.11:8080") {
			t.Error("the primary is back before failback_delay")
		}
		n, c := r.shown(t, "web/80/web-1")
		if want := "takes no new flows: backup tier: the primaries are enough again, but not yet for failback_delay 3s"; n.Why != want || c.Status != configBackup {
			t.Errorf("config %s, node %s", c.Status, n.Why)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if serving("192.0.2.12:8080") || !serving("192.0.2.11:8080") {
			t.Error("the primary is not back after failback_delay")
		}
	})
}

// TestE25AFullNodeSaysSo fills nodes one after the other.
func TestE25AFullNodeSaysSo(t *testing.T) {
	content := strings.Replace(twoNodes, "weight: 100", "weight: 100, max_conns: 2", 1)
	running(t, strings.Replace(content, `"192.0.2.11:8080"`, `"192.0.2.11:8080", max_conns: 1`, 1), func(t *testing.T, r *rig) {
		r.checks.result(web1, lb.Up, "")
		r.checks.result(web2, lb.Up, "")
		synctest.Wait()
		flow := func(address string, port uint16) {
			n := r.inMaps(t, address)
			if err := r.tables.AddFlow(maps.Flow{
				Protocol: lb.TCP, Class: maps.Established, NodeID: n.ID, Node: n.Address, Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), port),
				VIP: netip.MustParseAddrPort("203.0.113.10:80"), Source: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port),
			}); err != nil {
				t.Fatal(err)
			}
		}
		flow("192.0.2.12:8080", 1000)
		if n, c := r.shown(t, "web/80/web-2"); !n.TakesNew || n.MaxConns != 2 || len(c.Refusing) > 0 {
			t.Errorf("with one of two: %+v, refusing %v", n, c.Refusing)
		}
		flow("192.0.2.12:8080", 1001)
		n, c := r.shown(t, "web/80/web-2")
		if n.TakesNew || n.Why != "takes no new flows: full: 2 of 2 connections" || c.Status != configUp || len(c.Refusing) > 0 {
			t.Errorf("full: %+v, config %s, refusing %v", n, c.Status, c.Refusing)
		}
		flow("192.0.2.11:8080", 1002)
		if _, c := r.shown(t, "web/80/web-1"); c.Status != configUp || len(c.Refusing) != 1 {
			t.Errorf("all full: config %s, refusing %v", c.Status, c.Refusing)
		}
		nodes, err := r.tables.Reader().Nodes()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range configsOf(nodes, nil, nil)[0].Nodes {
			if n.TakesNew || !strings.Contains(n.Why, "full") {
				t.Errorf("without a daemon: %+v", n)
			}
		}
	})
}
