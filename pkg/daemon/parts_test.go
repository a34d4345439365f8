package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

func TestMergeKeepsWhatTheFileDoesNotName(t *testing.T) {
	named := func(label string, port uint16) lb.Balancer {
		return lb.Balancer{Label: label, Configs: []lb.Config{{Port: port}}}
	}
	current := []lb.Balancer{named("one", 1), named("two", 2), named("three", 3)}
	declared := []lb.Balancer{named("four", 44), named("two", 22)}
	for prune, want := range map[bool]string{false: "one:1 two:22 three:3 four:44", true: "two:22 four:44"} {
		var got []string
		for _, b := range merge(current, declared, prune) {
			got = append(got, b.Label+":"+lb.ConfigKey{Port: b.Configs[0].Port, Protocol: lb.TCP}.String()[1:])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("prune %v: %v, want %s", prune, got, want)
		}
	}
	if declared[0].Label != "four" || declared[1].Label != "two" {
		t.Errorf("what was declared is changed: %+v", declared)
	}
}

func TestWaitReturnsWithTheGenerationOrANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgress()
		p.desired(5)
		p.desired(4) // reported late
		if g := p.now(); g.Desired != 5 {
			t.Errorf("%+v", g)
		}
		done := make(chan error, 1)
		go func() { done <- p.wait(t.Context(), 5) }()
		p.applied(4)
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("4 is not 5")
		default:
		}
		p.applied(7)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if g := p.now(); g != (api.Generations{Desired: 7, Applied: 7}) {
			t.Errorf("%+v", g)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.wait(ctx, 8); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("8 never comes: %v", err)
		}
	})
}

func TestThePartThatFailsEndsAllAndIsNamed(t *testing.T) {
	g := newGroup(t.Context())
	ended := false
	g.run("patient", func(ctx context.Context) error {
		<-ctx.Done()
		ended = true
		return ctx.Err()
	})
	g.run("weak", func(context.Context) error { return errors.New("broken") })
	<-g.ctx.Done()
	if err := g.stop(); err == nil || err.Error() != "weak: broken" || !ended {
		t.Errorf("%v, the other ended: %v", err, ended)
	}
}

func TestBeingToldToStopIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := newGroup(ctx)
	g.run("part", func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("in the middle of something")
	})
	cancel()
	if err := g.stop(); err != nil {
		t.Error(err)
	}
}

func TestAPartThatEndsByItselfIsAFailure(t *testing.T) {
	g := newGroup(t.Context())
	g.run("part", func(context.Context) error { return nil })
	<-g.ctx.Done()
	if err := g.stop(); err == nil || !strings.Contains(err.Error(), "part: ended by itself") {
		t.Error(err)
	}
}

func TestRatesAreAveragesSinceTheSampleBefore(t *testing.T) {
	start := time.Unix(1000, 0)
	n := func(flows, bytes uint64) maps.NodeState {
		return maps.NodeState{ID: 7, Node: maps.Node{Address: netip.MustParseAddrPort("192.0.2.1:80")},
			Traffic: maps.Traffic{Flows: flows, BytesIn: bytes / 2, BytesOut: bytes - bytes/2}}
	}
	var r rates
	if f, b := r.since(start, n(1, 1)); f != nil || b != nil {
		t.Error("rates without a sample")
	}
	r.add(take(start, []maps.NodeState{n(100, 1000)}))
	if f, b := r.since(start.Add(2*time.Second), n(110, 5000)); *f != 5 || *b != 2000 {
		t.Errorf("%v %v", *f, *b)
	}
	r.add(take(start.Add(5*time.Second), []maps.NodeState{n(150, 6000)}))
	if f, b := r.since(start.Add(5*time.Second), n(150, 6000)); *f != 10 || *b != 1000 {
		t.Errorf("right after a sample they go back to the one before: %v %v", *f, *b)
	}
	if f, _ := r.since(start.Add(6*time.Second), n(3, 10)); f != nil {
		t.Errorf("counters that went back belong to another node: %v", *f)
	}
	if f, _ := r.since(start.Add(6*time.Second), n(3, 70000)); f != nil {
		t.Errorf("one counter that went back is enough: %v", *f)
	}
	other := n(200, 7000)
	other.Address = netip.MustParseAddrPort("192.0.2.2:80")
	if f, _ := r.since(start.Add(6*time.Second), other); f != nil {
		t.Errorf("the id has a new owner: %v", *f)
	}
}

// TestOnlyRefusalsAreShown counts a packet of every reason: those that went where they should are none.
func TestOnlyRefusalsAreShown(t *testing.T) {
	tables := maps.NewFake(maps.FakeSizes{})
	reader := tables.Reader()
	reasons, err := reader.Reasons()
	if err != nil || len(reasons) == 0 {
		t.Fatal(reasons, err)
	}
	for i := range reasons {
		tables.CountReason(i, 1)
	}
	shown, err := newLooker(reader).refused()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, r := range shown {
		got[r.Name] = true
	}
	for _, name := range []string{"not_ours", "forwarded", "echo_answered", "icmp_translated"} {
		if got[name] {
			t.Errorf("%s is shown as a refusal", name)
		}
	}
	for _, name := range []string{"no_backend", "table_full", "no_backend_dropped", "table_busy"} {
		if !got[name] {
			t.Errorf("%s is not shown", name)
		}
	}
}

// TestRefusalsOfAConfigAreThoseOfAllItsVIPs counts at both VIPs of a config, and at another's.
func TestRefusalsOfAConfigAreThoseOfAllItsVIPs(t *testing.T) {
	tables := maps.NewFake(maps.FakeSizes{})
	for id, s := range []struct{ vip, balancer string }{{"203.0.113.10", "web"}, {"2001:db8::10", "web"}, {"203.0.113.11", "other"}} {
		info := maps.ServiceInfo{VIP: maps.VIP{Addr: netip.MustParseAddr(s.vip), Port: 80, Protocol: lb.TCP}, Balancer: s.balancer}
		if err := tables.WriteServiceInfo(uint32(id), info); err != nil {
			t.Fatal(err)
		}
	}
	first := loader.FirstRefused()
	tables.CountRefused(0, first+2, 3)
	tables.CountRefused(1, first, 5)
	tables.CountRefused(1, first+2, 4)
	tables.CountRefused(2, first+1, 9)
	configs := []api.Config{{Name: "web/80"}, {Name: "quiet/80"}}
	if err := newLooker(tables.Reader()).countRefused(configs); err != nil {
		t.Fatal(err)
	}
	names := loader.ReasonNames()
	want := []api.Reason{{Name: names[first], Packets: 5, Why: why(names[first])}, {Name: names[first+2], Packets: 7, Why: why(names[first+2])}}
	if !slices.Equal(configs[0].Refused, want) {
		t.Errorf("%+v, want %+v", configs[0].Refused, want)
	}
	if configs[1].Refused != nil {
		t.Errorf("of a config that refused nothing: %+v", configs[1].Refused)
	}
}

// TestEndsOfFlowsAreThoseOfBothFamilies counts ends of IPv4 and IPv6.
func TestEndsOfFlowsAreThoseOfBothFamilies(t *testing.T) {
	tables := maps.NewFake(maps.FakeSizes{})
	var v4, v6 loader.FlowStats
	room, fin := slices.Index(loader.RemovalNames(), "room"), slices.Index(loader.ClosingNames(), "fin")
	v4.Removed[room][maps.HalfOpen], v6.Removed[room][maps.HalfOpen], v6.Removed[room][maps.UDPSession] = 3, 4, 5
	v4.Closed[fin] = 6
	tables.CountEnds(4, v4)
	tables.CountEnds(6, v6)
	closings, removals, err := newLooker(tables.Reader()).ends()
	if err != nil {
		t.Fatal(err)
	}
	if want := []api.FlowEnd{{Name: "fin", Flows: 6, Why: closingTexts["fin"]}}; !slices.Equal(closings, want) {
		t.Errorf("closings %+v, want %+v", closings, want)
	}
	want := []api.FlowEnd{{Name: "room", State: "half_open", Flows: 7, Why: removalTexts["room"]}, {Name: "room", State: "udp", Flows: 5, Why: removalTexts["room"]}}
	if !slices.Equal(removals, want) {
		t.Errorf("removals %+v, want %+v", removals, want)
	}
}
