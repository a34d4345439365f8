package daemon

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/api"
)

func TestBalancersSayWhatIsDeclaredAndHowItIs(t *testing.T) {
	config := func(name, balancer, status string, flows uint64) api.Config {
		return api.Config{Name: name, Balancer: balancer, Status: status, Addresses: []string{"203.0.113.10"}, Nodes: []api.Node{{ActiveFlows: flows}}}
	}
	configs := []api.Config{config("web/80", "web", configUp, 3), config("web/443", "web", configDown, 4), config("gone/80", "gone", configDown, 5)}
	settings := func(label, ipv4 string) api.Settings {
		return api.Settings{"label": label, "ipv4": ipv4, "client_conn_throttle": json.Number("0"), "client_udp_sess_throttle": json.Number("0"), "announce": false}
	}
	want := []api.Balancer{
		{Name: "web", Addresses: []string{"203.0.113.10"}, Settings: settings("web", "203.0.113.10"),
			Status: api.BalancerPartly, ActiveFlows: 7, Configs: []string{"web/80", "web/443"}},
		{Name: "dns", Addresses: []string{"203.0.113.53"}, Settings: settings("dns", "203.0.113.53"),
			Status: api.BalancerEmpty, Configs: []string{}},
	}
	if diff := cmp.Diff(want, declare(configs, parsed(t, sixThings))); diff != "" {
		t.Error(diff)
	}
	if s := configs[0].Settings; s["check"] != "connection" || s["tcp_idle"] != "1h" || s["check_rise"] != json.Number("1") || s["check_port"] != nil {
		t.Errorf("what was declared of web/80: %v", s)
	}
	if configs[2].Settings != nil {
		t.Errorf("nothing is declared of what is gone: %v", configs[2].Settings)
	}
	want = []api.Balancer{
		{Name: "web", Addresses: []string{"203.0.113.10"}, Status: api.BalancerPartly, ActiveFlows: 7, Configs: []string{"web/80", "web/443"}},
		{Name: "gone", Addresses: []string{"203.0.113.10"}, Status: api.BalancerDown, ActiveFlows: 5, Configs: []string{"gone/80"}},
	}
	if diff := cmp.Diff(want, balancersOf(configs)); diff != "" {
		t.Errorf("of the maps alone: %s", diff)
	}
}
