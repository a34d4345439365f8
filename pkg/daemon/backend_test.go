package daemon

import (
	"errors"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/reconcile"
)

// backendOf makes the API's side of a rig.
func backendOf(r *rig) *backend {
	return &backend{
		looker: newLooker(r.tables.Reader()),
		d: &daemon{
			Options: Options{Version: "1.2.3"}, started: time.Now(), config: r.file.start,
			store: r.store, progress: r.progress, rates: r.rates, engine: r.engine,
			directory: r.broken.applier.(*reconcile.Reconciler).Directory(), says: r.says,
		},
	}
}

func ref[T any](v T) *T { return &v }

func TestApplyKeepsPrunesAndPlans(t *testing.T) {
	const other = `
balancers:
  - label: dns
    ipv4: 203.0.113.53
    configs:
      - port: 53
        protocol: udp
        nodes:
          - {label: dns-1, address: "192.0.2.53:53"}
`
	running(t, twoNodes, func(t *testing.T, r *rig) {
		b := backendOf(r)
		plan, err := b.Apply(t.Context(), api.ApplyRequest{Name: "f", Data: []byte(other), Prune: true, DryRun: true})
		if err != nil || len(plan.Plan.Steps) != 7 || r.store.Get().Revision != 1 {
			t.Errorf("dry run: %+v, %v, revision %d", plan, err, r.store.Get().Revision)
		}
		res, err := b.Apply(t.Context(), api.ApplyRequest{Name: "f", Data: []byte(other)})
		if err != nil || len(res.Plan.Steps) != 3 || res.Desired != 2 {
			t.Errorf("apply: %+v, %v", res, err)
		}
		if n := len(r.store.Get().Balancers); n != 2 {
			t.Errorf("%d balancers: what the file does not name stays", n)
		}
		if _, err := b.Apply(t.Context(), api.ApplyRequest{Name: "f", Data: []byte(other), Prune: true}); err != nil {
			t.Error(err)
		}
		if bs := r.store.Get().Balancers; len(bs) != 1 || bs[0].Label != "dns" {
			t.Errorf("after pruning: %+v", bs)
		}
		data, err := b.Export(t.Context())
		if err != nil || !strings.Contains(string(data), "dns-1") {
			t.Errorf("export: %s, %v", data, err)
		}
		again, err := b.Apply(t.Context(), api.ApplyRequest{Name: "export", Data: data, Prune: true, DryRun: true})
		if err != nil || !again.Plan.Empty() {
			t.Errorf("what was exported changes something: %+v, %v", again.Plan, err)
		}
	})
}

func TestApplyRefusesEveryFaultAndChangesNothing(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		b := backendOf(r)
		_, err := b.Apply(t.Context(), api.ApplyRequest{Name: "f.yaml", Data: []byte("balancers:\n  - label: a\n  - nose: b\n")})
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Status != 400 || len(refused.Reasons) < 2 || !strings.HasPrefix(refused.Reasons[0].Reason, "f.yaml:2:") {
			t.Errorf("%v", err)
		}
		same := strings.Replace(strings.Replace(twoNodes, "label: web\n", "label: other\n", 1), "interfaces: [eth0]", "", 1)
		_, err = b.Apply(t.Context(), api.ApplyRequest{Name: "f.yaml", Data: []byte(same)})
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "203.0.113.10") {
			t.Errorf("a VIP of a balancer that stays: %v", err)
		}
		if r.store.Get().Revision != 1 {
			t.Error("something was changed")
		}
	})
}

// withFlows puts flows of both nodes into the table and gives the nodes.
func withFlows(t *testing.T, r *rig) (n1, n2 maps.NodeState) {
	t.Helper()
	n1, n2 = r.inMaps(t, "192.0.2.11:8080"), r.inMaps(t, "192.0.2.12:8080")
	for i, f := range []maps.Flow{
		{NodeID: n1.ID, Node: n1.Address, Class: maps.Established},
		{NodeID: n1.ID, Node: n1.Address, Class: maps.Closing},
		{NodeID: n2.ID, Node: n2.Address, Class: maps.HalfOpen},
	} {
		f.Protocol, f.VIP = lb.TCP, netip.MustParseAddrPort("203.0.113.10:80")
		f.Client = netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), uint16(40000+i))
		f.Source = netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1600+i))
		f.Age, f.Idle, f.BytesIn = time.Minute, time.Second, 1234
		if err := r.tables.AddFlow(f); err != nil {
			t.Fatal(err)
		}
	}
	return n1, n2
}

func flowsOf(t *testing.T, seq iter.Seq2[api.Flow, error]) (out []api.Flow) {
	t.Helper()
	for f, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

func TestFlowsAreFoundByConfigNodeClientAndState(t *testing.T) {
	r := newRig(t, twoNodes)
	withFlows(t, r)
	b := backendOf(r)
	for _, tt := range []struct {
		q    api.FlowQuery
		want int
	}{
		{api.FlowQuery{}, 3},
		{api.FlowQuery{Config: "web/80"}, 3},
		{api.FlowQuery{Config: "web/80/tcp"}, 3},
		{api.FlowQuery{Node: "web/80/web-1"}, 2},
		{api.FlowQuery{Node: "web/80/192.0.2.12:8080"}, 1},
		{api.FlowQuery{Node: "web/80/web-1", State: "closing"}, 1},
		{api.FlowQuery{State: "udp"}, 0},
		{api.FlowQuery{Client: netip.MustParseAddr("198.51.100.7")}, 3},
		{api.FlowQuery{Client: netip.MustParseAddr("::ffff:198.51.100.7")}, 3},
		{api.FlowQuery{Client: netip.MustParseAddr("198.51.100.8")}, 0},
		{api.FlowQuery{Limit: 2}, 2},
	} {
		if got := flowsOf(t, b.Flows(t.Context(), tt.q)); len(got) != tt.want {
			t.Errorf("%+v: %d flows, want %d", tt.q, len(got), tt.want)
		}
		counts, err := b.CountFlows(t.Context(), tt.q)
		sum := uint64(0)
		for _, c := range counts {
			sum += c.Flows
		}
		if err != nil || tt.q.Limit == 0 && sum != uint64(tt.want) {
			t.Errorf("%+v: counted %+v, %v", tt.q, counts, err)
		}
	}
	f := flowsOf(t, b.Flows(t.Context(), api.FlowQuery{State: "established"}))[0]
	if f.NodeName != "web/80/web-1" || f.IdleMS < 900 || f.AgeMS < 59000 || f.BytesIn != 1234 {
		t.Errorf("%+v", f)
	}
	for _, q := range []api.FlowQuery{{Config: "web/81"}, {Node: "web/80/web-9"}} {
		for _, err := range b.Flows(t.Context(), q) {
			if err == nil || !strings.Contains(err.Error(), "have: web/80") {
				t.Errorf("%+v: %v", q, err)
			}
		}
	}
}

func TestStatusJoinsTheViewWithTheCounts(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		n1, _ := withFlows(t, r)
		r.tables.SetTraffic(n1.ID, maps.Traffic{BytesIn: 10, BytesOut: 5, Flows: 2, Failed: maps.Failures{3, 4, 5}})
		r.checks.result(web1, lb.Down, "connection refused")
		synctest.Wait()
		st, err := backendOf(r).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.Source != api.FromDaemon || st.ActiveFlows != 2 || len(st.Configs) != 1 || st.Applied != 1 {
			t.Errorf("%+v", st)
		}
		n, err := st.Node("web/80/web-1")
		if err != nil || n.Health != "DOWN" || n.Reason != "connection refused" || n.TakesNew || n.Why == "" || n.CheckedAt == nil ||
			n.ActiveFlows != 1 || n.BytesIn != 10 || n.Failed == nil || *n.Failed != 12 || n.Entry != n1.ID || n.Lifecycle != api.Present || !strings.Contains(n.NextHop, "on eth0") {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

func TestStatusShowsRemovedNodesWhileTheyHaveFlows(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		n1, _ := withFlows(t, r)
		_, _ = r.store.Update(func(b []lb.Balancer) ([]lb.Balancer, error) {
			b[0].Configs[0].Nodes = b[0].Configs[0].Nodes[1:]
			return b, nil
		})
		synctest.Wait()
		b := backendOf(r)
		st, err := b.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n, err := st.Node("web/80/web-1")
		if err != nil || n.Lifecycle != api.Removed || n.ActiveFlows != 1 || n.TakesNew {
			t.Errorf("%+v, %v", n, err)
		}
		r.tables.EndFlows(n1.ID)
		if st, err = b.Status(t.Context()); err != nil || len(st.Nodes()) != 1 {
			t.Errorf("after the last flow: %+v, %v", st.Nodes(), err)
		}
	})
}

func TestStatusNamesNodesThatCannotBeReached(t *testing.T) {
	var configs []api.Config
	for range 11 {
		configs = append(configs, api.Config{Nodes: []api.Node{{Name: "a", Unreachable: "no route"}, {Name: "b"}}})
	}
	w := unreachable(configs)
	if len(w) != warningsMost+1 || w[0] != "a cannot be reached: no route" || w[warningsMost] != "3 more nodes cannot be reached" {
		t.Errorf("%q", w)
	}
}

func TestStatusNamesNodesWhoseRepliesAreNeverSeen(t *testing.T) {
	status := func(content string) (api.Node, []string) {
		t.Helper()
		r := newRig(t, content)
		r.takeNetwork()
		r.settle(true)
		st, err := backendOf(r).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.Configs[0].Nodes[0], st.Warnings
	}
	// Nodes are reached by eth0.
	n, warnings := status(strings.Replace(twoNodes, "[eth0]", "[eth1]", 1))
	want := "web/80/web-1 is reached by eth0, which is not in interfaces: its replies do not come back: add it"
	if !slices.Contains(warnings, want) || !strings.HasPrefix(n.Unreachable, "reached by eth0") || n.NextHop == "" {
		t.Errorf("%q, %+v", warnings, n)
	}
	if n, warnings := status(twoNodes); len(warnings) > 0 || n.Unreachable != "" || n.NextHop == "" {
		t.Errorf("by an interface that is there: %q, %+v", warnings, n)
	}
}

func TestANodeWhoseNeighbourIsSilentDoesNotPassForOneThatTakesFlows(t *testing.T) {
	r := newRig(t, strings.Replace(twoNodes, "check: connection\n        check_interval: 2s\n        check_timeout: 1s", "check: none", 1))
	r.takeNetwork()
	r.settle(true)
	node := func() (api.Node, api.Config) {
		t.Helper()
		st, err := backendOf(r).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.Configs[0].Nodes[0], st.Configs[0]
	}
	if n, _ := node(); !n.TakesNew || n.Why != "takes new flows: not checked" {
		t.Errorf("while it answers: %+v", n)
	}
	r.network.unreachable = "neighbour 192.0.2.11 on eth0 does not answer"
	r.takeNetwork()
	r.settle(true)
	n, c := node()
	if n.TakesNew || n.Why != "takes no new flows: it is tried, but neighbour 192.0.2.11 on eth0 does not answer" {
		t.Errorf("when it does not: %+v", n)
	}
	states, err := r.tables.Reader().Nodes()
	if err != nil {
		t.Fatal(err)
	}
	pinned := configsOf(states, listed, nil)[0]
	if n := pinned.Nodes[0]; n.TakesNew || n.Why != "takes no new flows: it is tried, but no next hop" || pinned.Status != configUp {
		t.Errorf("without a daemon: %s, %+v", pinned.Status, n)
	}
	if c.Status != configUp || len(c.Refusing) > 0 {
		t.Errorf("its clients are not refused, yet %s, refusing %v", c.Status, c.Refusing)
	}
}

func TestOnlyAGatewayLeadsToANode(t *testing.T) {
	for _, tt := range []struct{ node, via, want string }{
		{"192.0.2.11", "192.0.2.11", "02:01:00:00:00:00 on eth0, directly"},
		{"fe80::1%eth0", "fe80::1", "02:01:00:00:00:00 on eth0, directly"},
		{"192.0.2.11", "10.0.0.254", "02:01:00:00:00:00 on eth0, via 10.0.0.254"},
	} {
		h := netdev.NextHop{Resolved: true, IfName: "eth0", DstMAC: [6]byte{2, 1}, Via: netip.MustParseAddr(tt.via)}
		if got := hop(netip.MustParseAddr(tt.node), &h); got != tt.want {
			t.Errorf("%s by %s: %q, want %q", tt.node, tt.via, got, tt.want)
		}
	}
}

func TestMapsAreListedAndDumped(t *testing.T) {
	r := newRig(t, twoNodes)
	b := backendOf(r)
	list, err := b.Maps(t.Context())
	if err != nil || len(list) < 10 {
		t.Fatal(list, err)
	}
	n := 0
	for _, err := range b.DumpMap(t.Context(), "nodes") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d nodes dumped", n)
	}
	for _, err := range b.DumpMap(t.Context(), "nose") {
		if err == nil || !strings.Contains(err.Error(), "nodes_live") {
			t.Errorf("%v", err)
		}
	}
}
