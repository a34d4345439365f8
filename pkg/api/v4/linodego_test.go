package v4

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linode/linodego"
)

// client is linodego, of a server over a fake.
func client(t *testing.T) (*linodego.Client, *bed) {
	t.Helper()
	b := newBed(t)
	srv := httptest.NewServer(b.server)
	t.Cleanup(srv.Close)
	c := linodego.NewClient(nil)
	c.SetBaseURL(srv.URL)
	c.SetToken("secret")
	return &c, b
}

func ref[T any](v T) *T { return &v }

func TestLinodegoCreatesBalancersWithAllThatTheyHold(t *testing.T) {
	c, _ := client(t)
	nb, err := c.CreateNodeBalancer(t.Context(), linodego.NodeBalancerCreateOptions{
		Label: ref("web"), Region: "local",
		Configs: []*linodego.NodeBalancerConfigCreateOptions{{
			Port: 80, Protocol: linodego.ProtocolTCP, Check: linodego.CheckConnection,
			CheckInterval: 5, CheckTimeout: 3,
			Nodes: []linodego.NodeBalancerNodeCreateOptions{
				{Address: "192.0.2.11:8080", Label: "web-1", Weight: 100},
				{Address: "192.0.2.12:8080", Label: "web-2", Mode: linodego.ModeBackup},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &linodego.NodeBalancer{
		ID: 1, Label: ref("web"), Region: "local", Hostname: ref("203-0-113-1.headgate.internal"),
		IPv4: ref("203.0.113.1"), IPv6: ref("2001:db8:1::1"), Type: "common", Tags: []string{}, Locks: []linodego.LockType{},
		Transfer: linodego.NodeBalancerTransfer{Total: ref(0.0), In: ref(0.0), Out: ref(0.0)},
		Created:  nb.Created, Updated: nb.Updated,
	}
	if diff := cmp.Diff(want, nb); diff != "" || nb.Created == nil {
		t.Error(diff)
	}
	configs, err := c.ListNodeBalancerConfigs(t.Context(), nb.ID, nil)
	if err != nil || len(configs) != 1 {
		t.Fatal(configs, err)
	}
	nodes, err := c.ListNodeBalancerNodes(t.Context(), nb.ID, configs[0].ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]linodego.NodeBalancerNode{
		{ID: 3, ConfigID: 2, NodeBalancerID: 1, Address: "192.0.2.11:8080", Label: "web-1", Weight: 100, Mode: "accept", Status: "Unknown"},
		{ID: 4, ConfigID: 2, NodeBalancerID: 1, Address: "192.0.2.12:8080", Label: "web-2", Weight: 50, Mode: "backup", Status: "Unknown"},
	}, nodes); diff != "" {
		t.Error(diff)
	}
}

func TestLinodegoListsByPagesAndFilters(t *testing.T) {
	c, b := client(t)
	b.declare(numbered(130)...)
	all, err := c.ListNodeBalancers(t.Context(), &linodego.ListOptions{PageSize: 25})
	if err != nil || len(all) != 130 {
		t.Errorf("%d balancers in all pages: %v", len(all), err)
	}
	second, err := c.ListNodeBalancers(t.Context(), linodego.NewListOptions(2, ""))
	if err != nil || len(second) != 30 || *second[0].Label != *all[100].Label {
		t.Errorf("%d balancers in the second page: %v", len(second), err)
	}
	for filter, want := range map[string]int{
		fmt.Sprintf(`{"label":%q}`, *all[7].Label):                                       1,
		`{"label":"there-is-none"}`:                                                      0,
		fmt.Sprintf(`{"+or":[{"label":%q},{"label":%q}]}`, *all[3].Label, *all[5].Label): 2,
	} {
		got, err := c.ListNodeBalancers(t.Context(), linodego.NewListOptions(0, filter))
		if err != nil || len(got) != want {
			t.Errorf("%s: %d balancers: %v", filter, len(got), err)
		}
	}
	if _, err := c.ListNodeBalancers(t.Context(), linodego.NewListOptions(0, `{"nonsense":1}`)); !linodego.ErrHasStatus(err, 400) {
		t.Errorf("a filter by what there is not: %v", err)
	}
}

func TestLinodegoUnderstandsEveryRefusal(t *testing.T) {
	c, _ := client(t)
	ctx := t.Context()
	if _, err := c.GetNodeBalancer(ctx, 7); !linodego.IsNotFound(err) {
		t.Errorf("a balancer that there is not: %v", err)
	}
	if err := c.DeleteNodeBalancer(ctx, 7); !linodego.IsNotFound(err) {
		t.Errorf("one that there is not is removed: %v", err)
	}
	_, err := c.CreateNodeBalancer(ctx, linodego.NodeBalancerCreateOptions{Label: ref("a"), Region: "moon"})
	if !linodego.ErrHasStatus(err, 400) || !strings.Contains(err.Error(), "[label]") || !strings.Contains(err.Error(), "[region] region is not valid") {
		t.Errorf("two faults: %v", err)
	}
	if _, err := c.GetNodeBalancerStats(ctx, 7); !linodego.IsNotFound(err) {
		t.Errorf("stats of what there is not: %v", err)
	}
}

func TestLinodegoChangesAndRemoves(t *testing.T) {
	c, _ := client(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	nb, err := c.CreateNodeBalancer(ctx, linodego.NodeBalancerCreateOptions{Region: "local", Tags: []string{"one"}})
	must(err)
	change := nb.GetUpdateOptions()
	change.Label, change.Tags = ref("other"), ref([]string{"two", "three"})
	nb, err = c.UpdateNodeBalancer(ctx, nb.ID, change)
	must(err)
	if *nb.Label != "other" || len(nb.Tags) != 2 {
		t.Errorf("%+v", nb)
	}
	for _, protocol := range []linodego.ConfigProtocol{linodego.ProtocolHTTP, linodego.ProtocolTCP, linodego.ProtocolUDP} {
		made, err := c.CreateNodeBalancerConfig(ctx, nb.ID, linodego.NodeBalancerConfigCreateOptions{Port: 1000 + len(protocol) + int(protocol[0]), Protocol: protocol})
		must(err)
		options := made.GetUpdateOptions() // with every value that was answered
		options.CheckAttempts = 5
		changed, err := c.UpdateNodeBalancerConfig(ctx, nb.ID, made.ID, options)
		must(err)
		if want := *made; changed.CheckAttempts != 5 || changed.Protocol != want.Protocol || changed.Algorithm != want.Algorithm || changed.Stickiness != want.Stickiness {
			t.Errorf("%s: %+v is now %+v", protocol, made, changed)
		}
		rebuild := changed.GetRebuildOptions()
		rebuild.Nodes = []linodego.NodeBalancerConfigRebuildNodeOptions{{NodeBalancerNodeCreateOptions: linodego.NodeBalancerNodeCreateOptions{Label: "n-1", Address: "192.0.2.1:80"}}}
		_, err = c.RebuildNodeBalancerConfig(ctx, nb.ID, made.ID, rebuild)
		must(err)
		nodes, err := c.ListNodeBalancerNodes(ctx, nb.ID, made.ID, nil)
		must(err)
		if len(nodes) != 1 || nodes[0].Label != "n-1" {
			t.Errorf("%s: rebuilt: %+v", protocol, nodes)
		}
		node := nodes[0].GetUpdateOptions()
		node.Weight = 7
		got, err := c.UpdateNodeBalancerNode(ctx, nb.ID, made.ID, nodes[0].ID, node)
		must(err)
		if got.Weight != 7 {
			t.Errorf("%s: %+v", protocol, got)
		}
		must(c.DeleteNodeBalancerNode(ctx, nb.ID, made.ID, got.ID))
		must(c.DeleteNodeBalancerConfig(ctx, nb.ID, made.ID))
	}
	must(c.DeleteNodeBalancer(ctx, nb.ID))
	if left, err := c.ListNodeBalancers(ctx, nil); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}

// What a client only looks at.
func TestLinodegoReadsWhatThereIsBesides(t *testing.T) {
	c, b := client(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	nb, err := c.CreateNodeBalancer(ctx, linodego.NodeBalancerCreateOptions{Region: "local"})
	must(err)
	if _, err := c.GetNodeBalancerStats(ctx, nb.ID); !linodego.ErrHasStatus(err, 400) {
		t.Errorf("stats before there are any: %v", err)
	}
	b.samples = []Sample{{time.UnixMilli(1767323100000), 1.5, 800, 1600}}
	stats, err := c.GetNodeBalancerStats(ctx, nb.ID)
	must(err)
	point := func(v float64) [][]float64 { return [][]float64{{1767323100000, v}} }
	if want := (linodego.NodeBalancerStatsData{Connections: point(1.5), Traffic: linodego.StatsTraffic{In: point(800), Out: point(1600)}}); !cmp.Equal(stats.Data, want) {
		t.Errorf("stats: %+v", stats)
	}
	b.in, b.out = 2376, 2622
	nb, err = c.GetNodeBalancer(ctx, nb.ID)
	must(err)
	if tr := nb.Transfer; *tr.In != 0.002376 || *tr.Out != 0.002622 || *tr.Total != 0.004998 {
		t.Errorf("transfer: %v %v %v", *tr.In, *tr.Out, *tr.Total)
	}
	firewalls, err := c.ListNodeBalancerFirewalls(ctx, nb.ID, nil)
	must(err)
	vpcs, err := c.ListNodeBalancerVPCConfigs(ctx, nb.ID, nil)
	must(err)
	types, err := c.ListNodeBalancerTypes(ctx, nil)
	must(err)
	regions, err := c.ListRegions(ctx, nil)
	must(err)
	region, err := c.GetRegion(ctx, "local")
	must(err)
	profile, err := c.GetProfile(ctx)
	must(err)
	if len(firewalls) != 0 || len(vpcs) != 0 || len(types) != 1 || types[0].ID != "common" || types[0].Price.Hourly <= 0 ||
		len(regions) != 1 || regions[0].ID != "local" || region.ID != "local" || !slices.Contains(region.Capabilities, "NodeBalancers") ||
		profile.Username != "headgate" {
		t.Errorf("%+v\n%+v\n%+v\n%+v\n%+v\n%+v", firewalls, vpcs, types, regions, region, profile)
	}
}
