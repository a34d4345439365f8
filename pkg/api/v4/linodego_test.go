package v4

import (
	"net/http/httptest"
	"testing"

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
