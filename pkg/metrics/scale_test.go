package metrics

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// many fills the maps of the kernel and a view with configs of ten nodes each.
func many(t testing.TB, k *maps.Kernel, configs int) Sources {
	view := &state.View{}
	checks := fakeChecks{results: map[lb.NodeKey]health.Result{}}
	id := uint32(0)
	for c := range configs {
		key := lb.ConfigKey{Balancer: fmt.Sprintf("balancer-%d", c), Port: 80, Protocol: lb.TCP}
		vip := netip.AddrFrom4([4]byte{10, 1, byte(c >> 8), byte(c)})
		svc := state.Service{Config: key, VIP: vip, Port: 80, Protocol: lb.TCP, Tier: schedule.Primary}
		info := maps.ServiceInfo{VIP: maps.VIP{Addr: vip, Port: 80, Protocol: lb.TCP}, Balancer: key.Balancer}
		if err := k.WriteServiceInfo(uint32(c), info); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			id++
			n := node(key, fmt.Sprintf("node-%d", i), fmt.Sprintf("10.2.%d.%d:80", id>>8, id&255), lb.Accept, lb.Up, true)
			svc.Nodes = append(svc.Nodes, n)
			checks.results[n.Key] = health.Result{Health: lb.Up, At: time.Now(), Duration: time.Millisecond}
			record := maps.Node{Status: maps.Status{Mode: lb.Accept, Health: lb.Up, Lifecycle: maps.Present}, Address: n.Key.Address,
				Protocol: lb.TCP, Service: uint32(c), SNATs: maps.SNATRange{Count: 1}}
			if err := k.WriteNode(id, record); err != nil {
				t.Fatal(err)
			}
			if err := k.WriteNodeInfo(id, maps.NodeInfo{Label: n.Label}); err != nil {
				t.Fatal(err)
			}
		}
		view.Services = append(view.Services, &svc)
	}
	s := someSources(t)
	s.Maps, s.View, s.Checks = k.Reader(), func() *state.View { return view }, checks
	return s
}

// It is processor time that is measured, which on an idle machine is more than what passes: others may keep this
// one busy. They also take its caches, so that the best of a few scrapes counts.
func TestAScrapeOf1000ConfigsAnd10000NodesTakesLessThanASecond(t *testing.T) {
	k, _ := withProgram(t)
	s := many(t, k, 1000)
	var took []time.Duration
	for range 5 {
		began := processorTime(t)
		text := scrape(t, s)
		took = append(took, processorTime(t)-began)
		if n := len(text); n < 10_000_000 {
			t.Fatalf("only %d bytes", n)
		}
	}
	t.Logf("%v", took)
	if least := slices.Min(took); least > time.Second {
		t.Errorf("it takes %v at least", least)
	}
}

// processorTime is what this process has used so far.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkScrape(b *testing.B) {
	k, _ := withProgram(b)
	s := many(b, k, 1000)
	for b.Loop() {
		b.SetBytes(int64(len(scrape(b, s))))
	}
}
