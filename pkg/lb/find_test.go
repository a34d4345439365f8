package lb

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func findConfig(bs []Balancer, key ConfigKey) (*Config, error) {
	b, err := FindBalancer(bs, key.Balancer)
	if err != nil {
		return nil, err
	}
	return b.FindConfig(key.Port, key.Protocol)
}

func findNode(bs []Balancer, key ConfigKey, name string) (*Node, error) {
	c, err := findConfig(bs, key)
	if err != nil {
		return nil, err
	}
	return c.FindNode(key, name)
}

func TestFindNodeByLabelAndByAddress(t *testing.T) {
	bs := sample()
	for _, name := range []string{"web-2", "192.0.2.12:8080"} {
		n, err := findNode(bs, ConfigKey{"web", 80, TCP}, name)
		if err != nil || n != &bs[0].Configs[0].Nodes[1] {
			t.Errorf("%s: %v, %v", name, n, err)
		}
	}
	if n, err := findNode(bs, ConfigKey{"dns", 53, UDP}, "ns-1"); err != nil || n != &bs[1].Configs[0].Nodes[0] {
		t.Errorf("%v, %v", n, err)
	}
}

func TestWhatIsNotFoundIsAnsweredWithWhatThereIs(t *testing.T) {
	bs := sample()
	_, err := findConfig(bs, ConfigKey{"wob", 80, TCP})
	wantError(t, err, "wob: no such balancer (have: web, dns)")
	_, err = findConfig(bs, ConfigKey{"web", 81, TCP})
	wantError(t, err, "web/81: no such config (have: web/80, web/443)")
	_, err = findNode(bs, ConfigKey{"web", 80, TCP}, "web-9")
	wantError(t, err, "web/80/web-9: no such node (have: web-1, web-2, web-6)")
	_, err = findConfig(nil, ConfigKey{"web", 81, TCP})
	wantError(t, err, "web: no such balancer (have: none)")
}

func TestAnAmbiguousLabelListsTheAddresses(t *testing.T) {
	bs := sample()
	bs[0].Configs[0].Nodes[1].Label = "web-1"
	_, err := findNode(bs, ConfigKey{"web", 80, TCP}, "web-1")
	wantError(t, err, "web/80/web-1: 2 nodes have this label: name one by its address, as in web/80/192.0.2.11:8080 (have: 192.0.2.11:8080, 192.0.2.12:8080)")
}

func TestNodesWithTheSameLabelAreListedWithTheirAddresses(t *testing.T) {
	bs := sample()
	bs[0].Configs[0].Nodes[1].Label = "web-1"
	_, err := findNode(bs, ConfigKey{"web", 80, TCP}, "web-9")
	wantError(t, err, "web/80/web-9: no such node (have: web-1 (192.0.2.11:8080), web-1 (192.0.2.12:8080), web-6)")
}

func TestLongListsAreCut(t *testing.T) {
	b := Balancer{Label: "big", Configs: []Config{{Port: 80, Protocol: TCP}}}
	for i := range 100 {
		b.Configs[0].Nodes = append(b.Configs[0].Nodes, Node{Label: fmt.Sprintf("n%02d", i), Address: netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:80", i))})
	}
	_, err := findNode([]Balancer{b}, ConfigKey{"big", 80, TCP}, "x")
	if !strings.HasSuffix(err.Error(), "n06, n07 and 92 more)") {
		t.Error(err)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("\ngot  %v\nwant %s", err, want)
	}
}
