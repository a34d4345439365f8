package lb

import "testing"

func TestIdsStandForNames(t *testing.T) {
	bs := sample()
	bs[0].ID, bs[1].ID = 1, 7
	bs[0].Configs[0].ID, bs[1].Configs[0].ID = 2, 8
	bs[0].Configs[0].Nodes[0].ID = 3
	bs = append(bs, Balancer{ID: 9, Label: "777"}, Balancer{ID: 777, Label: "other"})
	ids := Declared(bs)
	for _, c := range []struct {
		how        func(Ids, string) string
		name, want string
	}{
		{NamedBalancer, "web", "web"}, {NamedBalancer, "1", "web"}, {NamedBalancer, "7", "dns"},
		{NamedBalancer, "777", "777"}, // the label, though another has that id
		{NamedBalancer, "6", "6"}, {NamedBalancer, "01", "01"}, {NamedBalancer, "-1", "-1"}, {NamedBalancer, "2", "2"},
		{NamedConfig, "2", "web/80"}, {NamedConfig, "1/80", "web/80"}, {NamedConfig, "8", "dns/53/udp"}, {NamedConfig, "7/53/udp", "dns/53/udp"},
		{NamedConfig, "web/80", "web/80"}, {NamedConfig, "1", "1"}, {NamedConfig, "777/80", "777/80"},
		{NamedNode, "3", "web/80/192.0.2.11:8080"}, {NamedNode, "1/80/web-1", "web/80/web-1"}, {NamedNode, "web/80/3", "web/80/3"}, {NamedNode, "4", "4"},
	} {
		if got := c.how(ids, c.name); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
