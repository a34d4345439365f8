package lb

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestConfigNames(t *testing.T) {
	for s, want := range map[string]ConfigKey{
		"web/80":     {"web", 80, TCP},
		"dns/53/udp": {"dns", 53, UDP},
	} {
		got, err := ParseConfigKey(s)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
		if got.String() != s {
			t.Errorf("%s comes back as %s", s, got)
		}
	}
	if got, err := ParseConfigKey("web/80/tcp"); err != nil || got != (ConfigKey{"web", 80, TCP}) {
		t.Errorf("web/80/tcp: %v, %v", got, err)
	}
}

func TestNodeNames(t *testing.T) {
	tests := map[string]struct {
		key   ConfigKey
		label string
	}{
		"web/80/web-1":           {ConfigKey{"web", 80, TCP}, "web-1"},
		"dns/53/udp/ns-1":        {ConfigKey{"dns", 53, UDP}, "ns-1"},
		"web/80/tcp/udp":         {ConfigKey{"web", 80, TCP}, "udp"},
		"web/80/192.0.2.1:8080":  {ConfigKey{"web", 80, TCP}, "192.0.2.1:8080"},
		"dns/53/udp/[::1]:53":    {ConfigKey{"dns", 53, UDP}, "[::1]:53"},
		"dns/53/udp/udp":         {ConfigKey{"dns", 53, UDP}, "udp"},
		"a-b_C/65535/udp/x.y-z_": {ConfigKey{"a-b_C", 65535, UDP}, "x.y-z_"},
	}
	for s, want := range tests {
		key, label, err := ParseNodeName(s)
		if err != nil || key != want.key || label != want.label {
			t.Errorf("%s: %v %q, %v", s, key, label, err)
		}
		if got := NodeName(key, label); got != s {
			t.Errorf("%s comes back as %s", s, got)
		}
	}
}

func TestWrongNamesSayWhatIsWrong(t *testing.T) {
	for s, want := range map[string]string{
		"":              "write BALANCER/PORT or BALANCER/PORT/udp",
		"web":           "write BALANCER/PORT or BALANCER/PORT/udp",
		"/80":           "label of the balancer is required",
		"web/0":         `port must be a number from 1 to 65535, not "0"`,
		"web/65536":     `port must be a number from 1 to 65535, not "65536"`,
		"web/http":      `port must be a number from 1 to 65535, not "http"`,
		"web/80/sctp":   `protocol must be one of tcp, udp, not "sctp"`,
		"web/80/udp/ab": "write BALANCER/PORT or BALANCER/PORT/udp",
	} {
		if _, err := ParseConfigKey(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("config %q: %v", s, err)
		}
	}
	for s, want := range map[string]string{
		"web/80":           "write BALANCER/PORT/NODE or BALANCER/PORT/udp/NODE",
		"web/80/":          "write BALANCER/PORT/NODE or BALANCER/PORT/udp/NODE",
		"web/80/udp":       "names a config, not a node: write web/80/udp/NODE (a node that is labelled udp is web/80/tcp/udp)",
		"web/80/x/node":    `protocol must be one of tcp, udp, not "x"`,
		"web/x/node":       "port must be a number",
		"a/b/c/d/e":        "write BALANCER/PORT/NODE or BALANCER/PORT/udp/NODE",
		"web/80/tcp/":      "write BALANCER/PORT/NODE or BALANCER/PORT/udp/NODE",
		"we b/80/tcp/node": `"we b" has ' '`,
	} {
		if _, _, err := ParseNodeName(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("node %q: %v", s, err)
		}
	}
}

func TestEveryNameIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := ConfigKey{
			Balancer: rapid.StringMatching(`[a-zA-Z0-9_-]{3,32}`).Draw(t, "balancer"),
			Port:     rapid.Uint16Min(1).Draw(t, "port"),
			Protocol: rapid.SampledFrom(Protocols).Draw(t, "protocol"),
		}
		label := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9._-]{3,32}`), rapid.SampledFrom([]string{"tcp", "udp"})).Draw(t, "label")
		if got, err := ParseConfigKey(key.String()); err != nil || got != key {
			t.Fatalf("%v: %v, %v", key, got, err)
		}
		if got, l, err := ParseNodeName(NodeName(key, label)); err != nil || got != key || l != label {
			t.Fatalf("%v %s: %v %s, %v", key, label, got, l, err)
		}
	})
}

func TestNodeKeyIsANodeName(t *testing.T) {
	k := NodeKey{ConfigKey{"dns", 53, UDP}, netip.MustParseAddrPort("[2001:db8::1]:53")}
	if got := k.String(); got != "dns/53/udp/[2001:db8::1]:53" {
		t.Error(got)
	}
}
