package metrics

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

var update = flag.Bool("update", false, "write the scrape that the test compares with")

// scrape is the whole answer to a scrape.
func scrape(t testing.TB, s Sources) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(s, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// ours leaves out what the libraries tell of the Go runtime and the process, and what comes of the data path's
// lists of maps and of reasons that no packet met.
func ours(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		switch {
		case !strings.HasPrefix(name, namespace+"_"):
		case strings.HasPrefix(name, "headgate_map_memory_bytes{") && !strings.Contains(name, `"flows4"`):
		case strings.HasPrefix(name, "headgate_packets_total{") && strings.HasSuffix(name, " 0\n"):
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// fakeChecks knows what a test says of each node.
type fakeChecks struct {
	results map[lb.NodeKey]health.Result
	stats   health.Stats
}

func (c fakeChecks) Result(key lb.NodeKey) (health.Result, bool) {
	r, ok := c.results[key]
	return r, ok
}

func (c fakeChecks) Stats() health.Stats { return c.stats }

var (
	web  = lb.ConfigKey{Balancer: "web", Port: 80, Protocol: lb.TCP}
	dns  = lb.ConfigKey{Balancer: "dns", Port: 53, Protocol: lb.UDP}
	vip4 = netip.MustParseAddr("203.0.113.10")
	vip6 = netip.MustParseAddr("2001:db8::10")
)

func node(config lb.ConfigKey, label, address string, mode lb.Mode, h lb.Health, takes bool) state.Node {
	return state.Node{
		Key: lb.NodeKey{Config: config, Address: netip.MustParseAddrPort(address)}, Label: label, Weight: 50, Mode: mode,
		Override: lb.OverrideNone, Health: h, Effective: h, Takes: takes, Hop: &netdev.NextHop{Resolved: h != lb.Down},
	}
}

// someView has two configs, one of them with nodes in every mode.
func someView() *state.View {
	over := node(web, "web-3", "192.0.2.13:8080", lb.Drain, lb.Down, false)
	over.Override = lb.OverrideUp
	return &state.View{Services: []*state.Service{
		{Config: web, VIP: vip4, Port: 80, Protocol: lb.TCP, Tier: schedule.Primary, Passive: true, Watched: true, Nodes: []state.Node{
			node(web, "web-1", "192.0.2.11:8080", lb.Accept, lb.Up, true),
			node(web, "web-2", "192.0.2.12:8080", lb.Accept, lb.Down, false), over,
			node(web, "spare", "192.0.2.14:8080", lb.Backup, lb.Unknown, false),
		}},
		{Config: dns, VIP: vip6, Port: 53, Protocol: lb.UDP, Tier: schedule.None, Nodes: []state.Node{
			node(dns, "ns-1", "[2001:db8:1::9]:53", lb.Reject, lb.Unknown, false),
		}},
	}}
}

// someTables has what packets have left of those nodes: web-1 was removed once and came back.
func someTables(t testing.TB) *maps.Fake {
	t.Helper()
	f := maps.NewFake(maps.FakeSizes{})
	record := func(id, service uint32, label, address string, life maps.Lifecycle, p lb.Protocol) {
		for _, err := range []error{
			f.WriteNode(id, maps.Node{Status: maps.Status{Lifecycle: life, Mode: lb.Accept, Health: lb.Up}, Protocol: p,
				Address: netip.MustParseAddrPort(address), Service: service, SNATs: maps.SNATRange{First: 1, Count: 1}}),
			f.WriteNodeInfo(id, maps.NodeInfo{Label: label, Weight: 50}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for id, info := range map[uint32]maps.ServiceInfo{
		1: {VIP: maps.VIP{Addr: vip4, Port: 80, Protocol: lb.TCP}, Balancer: "web"},
		2: {VIP: maps.VIP{Addr: vip6, Port: 53, Protocol: lb.UDP}, Balancer: "dns"},
	} {
		if err := f.WriteServiceInfo(id, info); err != nil {
			t.Fatal(err)
		}
	}
	record(1, 1, "web-1", "192.0.2.11:8080", maps.Present, lb.TCP)
	record(2, 1, "web-2", "192.0.2.12:8080", maps.Present, lb.TCP)
	record(3, 2, "ns-1", "[2001:db8:1::9]:53", maps.Present, lb.UDP)
	record(4, 1, "web-1", "192.0.2.11:8080", maps.Removed, lb.TCP)
	record(5, 1, "web-1", "192.0.2.11:8080", maps.Removed, lb.TCP)
	stickTwo(t, f, 1)
	f.SetTraffic(1, maps.Traffic{PacketsIn: 10, BytesIn: 1000, PacketsOut: 20, BytesOut: 30000, Flows: 3, Failed: maps.Failures{2, 1, 0}})
	f.SetTrouble(1, maps.Trouble{InARow: 1, Lost: 4})
	f.SetTraffic(4, maps.Traffic{PacketsIn: 1, Flows: 1})
	f.SetTraffic(5, maps.Traffic{PacketsIn: 2, Flows: 2})
	f.CountReason(slices.Index(loader.ReasonNames(), "new_flow"), 5)
	f.CountReason(slices.Index(loader.ReasonNames(), "no_backend"), 7)
	f.CountRefused(1, slices.Index(loader.ReasonNames(), "throttled"), 3)
	f.CountRefused(2, slices.Index(loader.ReasonNames(), "no_backend"), 7)
	var ends loader.FlowStats
	ends.Closed[slices.Index(loader.ClosingNames(), "fin")] = 2
	ends.Removed[slices.Index(loader.RemovalNames(), "room")][maps.HalfOpen] = 9
	f.CountEnds(4, ends)
	for i, class := range []maps.FlowClass{maps.Established, maps.Established, maps.HalfOpen, maps.Closing} {
		if err := f.AddFlow(maps.Flow{
			Protocol: lb.TCP, Class: class, NodeID: 1, Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), uint16(4000+i)),
			VIP: netip.AddrPortFrom(vip4, 80), Source: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(2000+i)),
			Node: netip.MustParseAddrPort("192.0.2.11:8080"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// stickTwo has two clients stick to a node, and the clients of no other service.
func stickTwo(t testing.TB, f *maps.Fake, id uint32) {
	t.Helper()
	n, err := f.ReadNode(id)
	n.Status.Actions |= maps.Sticks | maps.Reports
	for _, err := range []error{
		err, f.WriteStatus(id, n.Status),
		f.WriteStickPolicy(n.Service, maps.StickPolicy{TTL: time.Hour, Tier: 2}),
		f.WriteService(n.Service, maps.ServiceWord{Stick: true}),
		f.AddStick(n.Service, netip.MustParseAddr("198.51.100.7"), id, time.Minute, false),
		f.AddStick(n.Service, netip.MustParseAddr("198.51.100.8"), id, time.Minute, false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func someSources(t testing.TB) Sources {
	rounds := NewRounds()
	rounds.Done(3*time.Millisecond, 12, nil)
	rounds.Done(30*time.Millisecond, 1, errors.New("full"))
	view := someView()
	at := time.Unix(1_700_000_000, 500e6)
	return Sources{
		Maps: someTables(t).Reader(),
		View: func() *state.View { return view },
		Checks: fakeChecks{
			results: map[lb.NodeKey]health.Result{view.Services[0].Nodes[0].Key: {At: at, Duration: 1500 * time.Microsecond}},
			stats:   health.Stats{Targets: 4, Probes: 3, InFlight: 1, Done: 100, Failed: 10, Inconclusive: 2, Lag: time.Millisecond, LagP99: 2 * time.Millisecond, MaxLag: 5 * time.Millisecond},
		},
		Ejections:   func() uint64 { return 6 },
		Generations: func() (uint64, uint64) { return 8, 7 },
		Interfaces:  func() []Interface { return []Interface{{"eth0", "native"}, {"eth1", ""}} },
		Rounds:      rounds,
		Build:       Build{Version: "1.2.3", Tag: "0123456789abcdef", Schema: 1},
	}
}

func TestWhatAScrapeLooksLike(t *testing.T) {
	got := ours(scrape(t, someSources(t)))
	const path = "testdata/scrape.txt"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", path, diff)
	}
}

// promlint is what `promtool check metrics` asks.
func TestNamesAndUnitsAreAsPrometheusWantsThem(t *testing.T) {
	problems, err := promlint.New(bytes.NewBufferString(scrape(t, someSources(t)))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// brokenChecks and tables that cannot be read cost only what they would have told.
func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	s := someSources(t)
	f := someTables(t)
	f.BreakTraffic(errors.New("no such file descriptor"))
	s.Maps = f.Reader()
	got := scrape(t, s)
	if strings.Contains(got, "node_packets_total") || !strings.Contains(got, `headgate_node_weight{address="192.0.2.11:8080"`) ||
		!strings.Contains(got, "headgate_applied_generation 7") {
		t.Error(ours(got))
	}
}
