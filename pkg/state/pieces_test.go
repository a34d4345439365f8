package state

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/netdev"
)

// world is a desired state that a test changes as the store does: what did not change keeps its memory.
type world struct {
	balancers []lb.Balancer
	results   map[lb.NodeKey]health.Result
	hops      map[netip.Addr]netdev.NextHop
}

// edit gives a balancer of its own to change.
func (w *world) edit(i int) *lb.Balancer {
	next := append([]lb.Balancer{}, w.balancers...)
	next[i] = next[i].Clone()
	w.balancers = next
	return &next[i]
}

func drawNode(t *rapid.T) lb.Node {
	return lb.Node{
		Label: "node", Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "node")}), 80),
		Weight: rapid.IntRange(1, 255).Draw(t, "weight"), Mode: rapid.SampledFrom(lb.Modes).Draw(t, "mode"), Override: lb.OverrideNone,
	}
}

// step changes something of the world.
func (w *world) step(t *rapid.T, now time.Time) {
	kind := rapid.SampledFrom([]string{"add", "remove", "swap", "vip", "config", "check", "node", "gone", "set", "health", "hop", "rename", "throttle"}).Draw(t, "step")
	if len(w.balancers) == 0 || kind == "add" {
		id := rapid.Uint16().Draw(t, "id")
		w.balancers = append(w.balancers[:len(w.balancers):len(w.balancers)],
			lb.Balancer{Label: fmt.Sprintf("lb-%d", id), IPv4: netip.AddrFrom4([4]byte{203, 0, byte(id >> 8), byte(id)})})
		for i := range w.balancers[:len(w.balancers)-1] {
			if w.balancers[i].Label == w.balancers[len(w.balancers)-1].Label {
				w.balancers = w.balancers[:len(w.balancers)-1]
				break
			}
		}
		return
	}
	i := rapid.IntRange(0, len(w.balancers)-1).Draw(t, "which")
	var config *lb.Config
	if b := w.balancers[i]; len(b.Configs) > 0 && kind != "health" && kind != "hop" && kind != "remove" && kind != "swap" {
		edited := w.edit(i)
		config = &edited.Configs[rapid.IntRange(0, len(b.Configs)-1).Draw(t, "config")]
	}
	switch kind {
	case "remove":
		w.balancers = append(w.balancers[:i:i], w.balancers[i+1:]...)
	case "swap":
		w.balancers = append([]lb.Balancer{}, w.balancers...)
		w.balancers[0], w.balancers[i] = w.balancers[i], w.balancers[0]
	case "vip":
		w.edit(i).IPv6 = netip.AddrFrom16([16]byte{0x20, 1, 15: rapid.Byte().Draw(t, "vip")})
	case "throttle":
		w.edit(i).ConnThrottle = rapid.IntRange(0, 20).Draw(t, "throttle")
	case "rename":
		if len(w.balancers) == 1 {
			w.edit(i).Label += "x"
		}
	case "config":
		b := w.edit(i)
		b.Configs = append(b.Configs, lb.Config{Port: uint16(1 + len(b.Configs)), Protocol: lb.TCP, Check: lb.Check{Type: lb.CheckConnection}})
		b.SetDefaults()
	case "health":
		w.results = clone(w.results)
		for key := range checked(w.balancers) {
			if rapid.Bool().Draw(t, "checked") {
				w.results[key] = health.Result{Key: key, Health: rapid.SampledFrom([]lb.Health{lb.Up, lb.Down}).Draw(t, "health"), At: now}
			}
		}
	case "hop":
		w.hops = clone(w.hops)
		w.hops[drawNode(t).Address.Addr()] = netdev.NextHop{Resolved: rapid.Bool().Draw(t, "resolved"), IfIndex: 2}
	}
	if config == nil {
		return
	}
	switch kind {
	case "check":
		config.Check.Type = rapid.SampledFrom([]lb.CheckType{lb.CheckNone, lb.CheckConnection}).Draw(t, "type")
	case "node":
		n := drawNode(t)
		for _, other := range config.Nodes {
			if other.Address == n.Address {
				return
			}
		}
		config.Nodes = append(config.Nodes, n)
	case "gone":
		if len(config.Nodes) > 0 {
			config.Nodes = config.Nodes[1:]
		}
	case "set":
		if len(config.Nodes) > 0 {
			n := drawNode(t)
			n.Address = config.Nodes[0].Address
			config.Nodes[0] = n
		}
	}
}

func clone[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	return out
}

// TestWhatIsPutTogetherIsWhatIsMadeAnew holds a State that keeps what did not change against one that is made to
// forget it, and against the one that sees copies of everything.
func TestWhatIsPutTogetherIsWhatIsMadeAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_800_000_000, 0)
		clock := func() time.Time { return now }
		kept, fresh := New(clock), New(clock)
		w := &world{results: map[lb.NodeKey]health.Result{}, hops: map[netip.Addr]netdev.NextHop{}}
		found, built := health.Results{}, map[string]uint64{}
		last := map[string]Service{}
		for revision := range uint64(rapid.IntRange(1, 25).Draw(t, "steps")) {
			now = now.Add(time.Second)
			w.step(t, now)
			kept.SetDesired(revision+1, w.balancers)
			fresh.SetDesired(revision+1, lb.Clone(w.balancers))
			found = found.Next(w.results)
			kept.SetHealth(found)
			fresh.SetHealth(health.ResultsOf(w.results))
			kept.SetHops(netdev.HopsOf(w.hops))
			fresh.SetHops(netdev.HopsOf(w.hops))
			fresh.Touch(0, 1)
			opts := cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Service{}, "Built")}
			times := cmpopts.IgnoreFields(Node{}, "CheckedAt")
			if diff := cmp.Diff(fresh.View(), kept.View(), opts, times); diff != "" {
				t.Fatal(diff)
			}
			if diff := cmp.Diff(fresh.Addresses(), kept.Addresses(), opts); diff != "" {
				t.Fatal(diff)
			}
			if diff := cmp.Diff(targets(fresh), targets(kept), opts); diff != "" {
				t.Fatal(diff)
			}
			for _, svc := range kept.View().Services {
				name := svc.Config.String() + svc.VIP.String()
				if built[name] == svc.Built && cmp.Diff(last[name], *svc, opts) != "" {
					t.Fatalf("%s is another, but says that it is the same", name)
				}
				built[name], last[name] = svc.Built, *svc
			}
		}
	})
}

func targets(s *State) map[lb.NodeKey]health.Target {
	out := map[lb.NodeKey]health.Target{}
	for _, target := range s.Targets() {
		out[target.Key] = target
	}
	return out
}

// TestOneChangeMakesOneServiceAnew is why a change costs the same however many there are.
func TestOneChangeMakesOneServiceAnew(t *testing.T) {
	f := newFixture(t)
	other := f.balancer.Clone()
	other.Label, other.IPv4, other.IPv6 = "other", netip.MustParseAddr("203.0.113.11"), netip.Addr{}
	all := []lb.Balancer{f.balancer, other}
	f.SetDesired(1, all)
	before := f.View().Services
	next := []lb.Balancer{all[0], all[1].Clone()}
	next[1].Configs[0].Nodes[0].Weight = 9
	targeted := f.Targeted()
	f.SetDesired(2, next)
	after := f.View().Services
	for i, same := range []bool{true, true, false} {
		if (before[i].Built == after[i].Built) != same {
			t.Errorf("service %d: built %d, then %d", i, before[i].Built, after[i].Built)
		}
	}
	if f.Targeted() != targeted {
		t.Error("a weight is not what checks ask for")
	}
}

// TestPartsOfTouchAreTheWhole: each config that asks for checks is made anew once, and no other.
func TestPartsOfTouchAreTheWhole(t *testing.T) {
	f := newFixture(t)
	var all []lb.Balancer
	for i := range 20 {
		b := f.balancer.Clone()
		b.Label, b.IPv4, b.IPv6 = fmt.Sprintf("lb-%d", i), netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), netip.Addr{}
		if i%4 == 0 {
			b.Configs[0].Check.Type = lb.CheckNone
		}
		all = append(all, b)
	}
	f.SetDesired(1, all)
	built := func() (out []uint64) {
		for _, s := range f.View().Services {
			out = append(out, s.Built)
		}
		return out
	}
	before, last, times := built(), built(), make([]int, 20)
	for part := range 3 {
		f.Touch(part, 3)
		now := built()
		for i := range now {
			if now[i] != last[i] {
				times[i]++
			}
		}
		last = now
	}
	for i, n := range times {
		if want := min(1, i%4); n != want {
			t.Errorf("config %d was made anew %d times, not %d (%d, %d)", i, n, want, before[i], last[i])
		}
	}
}
