package reconcile

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/state"
)

// BenchmarkOneHealthChange is a node going DOWN and UP among many: from the check's result to the
// maps, view included.
func BenchmarkOneHealthChange(b *testing.B) {
	for _, size := range []struct {
		configs, nodes int
		algorithm      lb.Algorithm
	}{
		{1, 10_000, lb.RoundRobin}, {1, 10_000, lb.LeastConn}, {1, 10_000, lb.Source},
		{1000, 10, lb.RoundRobin}, {1000, 10, lb.LeastConn}, {1000, 10, lb.Source},
	} {
		b.Run(fmt.Sprintf("%dx%d %s", size.configs, size.nodes, size.algorithm), func(b *testing.B) {
			s, results, first := largeOf(size.configs, size.nodes, size.algorithm)
			tables := maps.NewFake(maps.FakeSizes{Nodes: 32768, Services: 8192, Slots: 1 << 22})
			now := time.Now()
			r := New(tables, Options{Now: func() time.Time { return now }})
			if _, err := r.Apply(s.View(), nil); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				next := make(map[lb.NodeKey]health.Result, len(results))
				for k, v := range results {
					next[k] = v
				}
				one := next[first]
				if one.Health = lb.Down; results[first].Health == lb.Down {
					one.Health = lb.Up
				}
				next[first] = one
				results, now = next, now.Add(2*time.Second)
				s.SetHealth(health.ResultsOf(results))
				if _, err := r.Apply(s.View(), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// largeOf makes a state of so many configs, ten to a balancer, with so many nodes each, all UP.
func largeOf(configs, nodes int, algorithm lb.Algorithm) (*state.State, map[lb.NodeKey]health.Result, lb.NodeKey) {
	s := state.New(nil)
	results, hops := map[lb.NodeKey]health.Result{}, map[netip.Addr]netdev.NextHop{}
	var balancers []lb.Balancer
	var first lb.NodeKey
	count := 0
	for i := range configs {
		if i%10 == 0 {
			balancers = append(balancers, lb.Balancer{
				Label: fmt.Sprintf("lb-%d", i/10), IPv4: netip.AddrFrom4([4]byte{203, 0, byte(i / 2560), byte(i / 10)}),
			})
		}
		b := &balancers[len(balancers)-1]
		c := lb.Config{Port: uint16(1 + i%10), Protocol: lb.TCP, Algorithm: algorithm, TCPIdle: time.Hour, UDPIdle: time.Second,
			Check: lb.Check{Type: lb.CheckConnection, Interval: time.Second}}
		for range nodes {
			count++
			a := netip.AddrFrom4([4]byte{10, byte(count >> 16), byte(count >> 8), byte(count)})
			n := lb.Node{Label: fmt.Sprintf("n-%d", count), Address: netip.AddrPortFrom(a, 80), Weight: 50, Mode: lb.Accept}
			c.Nodes = append(c.Nodes, n)
			first = lb.NodeKey{Config: c.Key(b.Label), Address: n.Address}
			results[first] = health.Result{Key: first, Health: lb.Up, At: time.Now()}
			hops[a] = netdev.NextHop{Resolved: true, IfIndex: 2, Source: netip.MustParseAddr("10.255.0.1"), DstMAC: [6]byte{2}}
		}
		b.Configs = append(b.Configs, c)
	}
	s.SetDesired(1, balancers)
	s.SetHealth(health.ResultsOf(results))
	s.SetHops(netdev.HopsOf(hops))
	return s, results, first
}
