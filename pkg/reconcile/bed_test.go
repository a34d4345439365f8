package reconcile

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/state"
)

// world is a Reconciler on watched tables and a State with a balancer or two, by names: nodes a, b,
// c … are 10.0.0.1, 10.0.0.2, 10.0.0.3 … at port 8080.
type world struct {
	t      *testing.T
	clock  clock
	tables *watched
	state  *state.State
	r      *Reconciler
	snat   []netip.Addr

	revision uint64
	desired  []lb.Balancer
	results  map[lb.NodeKey]health.Result
	found    health.Results // as they were set last
	hops     map[netip.Addr]netdev.NextHop
}

func newWorld(t *testing.T) *world { return newWorldOf(t, maps.FakeSizes{}) }

func newWorldOf(t *testing.T, sizes maps.FakeSizes) *world {
	w := &world{t: t, clock: clock{time.Unix(1_800_000_000, 0)}, results: map[lb.NodeKey]health.Result{}, hops: map[netip.Addr]netdev.NextHop{}}
	w.tables = newWatched(&w.clock, sizes)
	w.state = state.New(w.clock.Now)
	w.r = New(w.tables, w.options())
	for name := 'a'; name <= 'z'; name++ {
		w.hops[address(string(name)).Addr()] = netdev.NextHop{
			Resolved: true, IfIndex: 2, SrcMAC: hostLinks[0].MAC, DstMAC: [6]byte{2, 1, 0, 0, 0, byte(name)},
			Source: netip.MustParseAddr("10.0.0.254"),
		}
	}
	w.setHops()
	t.Cleanup(func() {
		for _, f := range w.tables.faults {
			t.Errorf("a packet could see a mixture: %s", f)
		}
		for _, f := range w.tables.Reader().Check() {
			t.Errorf("flow table: %s", f)
		}
	})
	return w
}

func (w *world) options() Options {
	return Options{SNAT: w.snat, Log: slog.New(slog.DiscardHandler), Now: w.clock.Now}
}

// restart is a new process on the old tables, with what it finds there.
func (w *world) restart() {
	w.t.Helper()
	w.r = New(w.tables, w.options())
	restored, err := w.r.Restore()
	if err != nil {
		w.t.Fatal(err)
	}
	w.state = state.New(w.clock.Now)
	known := map[lb.NodeKey]state.Known{}
	for _, r := range restored {
		if !r.Removed {
			known[r.Key] = state.Known{Health: r.Health, At: r.CheckedAt, Mode: r.Mode, ModeSince: r.ModeSince}
		}
	}
	w.state.Remember(known)
	w.setHops()
}

func address(name string) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, name[0] - 'a' + 1}), 8080)
}

// balancer makes one with a config of the protocol and these nodes, all accepted at weight 1 and
// checked. The TCP one is 203.0.113.10:80, the UDP one 203.0.113.11:53.
func (w *world) balancer(p lb.Protocol, nodes ...string) lb.Balancer {
	b := lb.Balancer{Label: "web", IPv4: netip.MustParseAddr("203.0.113.10")}
	c := lb.Config{
		Port: 80, Protocol: p, OnNoBackend: lb.NoBackendReset, OnDown: lb.DownKeep,
		TCPIdle: time.Hour, UDPIdle: 16 * time.Second,
		RemoveDeadline: lb.DefaultRemoveDeadline,
		Check:          lb.Check{Type: lb.CheckConnection, Interval: time.Second},
	}
	if p == lb.UDP {
		b.Label, b.IPv4, c.Port = "dns", netip.MustParseAddr("203.0.113.11"), 53
	}
	for _, name := range nodes {
		c.Nodes = append(c.Nodes, lb.Node{Label: name, Address: address(name), Weight: 1, Mode: lb.Accept, Override: lb.OverrideNone})
	}
	b.Configs = []lb.Config{c}
	return b
}

func (w *world) desire(balancers ...lb.Balancer) {
	w.revision++
	w.desired = balancers
	w.state.SetDesired(w.revision, lb.Clone(balancers))
	for _, b := range balancers {
		for _, c := range b.Configs {
			for _, n := range c.Nodes {
				key := lb.NodeKey{Config: c.Key(b.Label), Address: n.Address}
				if _, ok := w.results[key]; !ok {
					w.results[key] = health.Result{Key: key, Health: lb.Up}
				}
			}
		}
	}
	w.setHealth()
}

func (w *world) setHealth() {
	w.clock.advance(time.Millisecond)
	results := map[lb.NodeKey]health.Result{}
	for key, r := range w.results {
		r.At = w.clock.now
		results[key] = r
	}
	w.found = w.found.Next(results)
	w.state.SetHealth(w.found)
}

// health sets what the checks of a node found, in all configs.
func (w *world) health(name string, h lb.Health) {
	for key, r := range w.results {
		if key.Address == address(name) {
			r.Health = h
			w.results[key] = r
		}
	}
	w.setHealth()
}

func (w *world) setHops() {
	w.state.SetHops(netdev.HopsOf(w.hops))
}

// mode sets the mode of a node of the first balancer.
func (w *world) mode(name string, m lb.Mode) {
	next := lb.Clone(w.desired)
	for i := range next[0].Configs[0].Nodes {
		if n := &next[0].Configs[0].Nodes[i]; n.Label == name {
			n.Mode = m
		}
	}
	w.desire(next...)
}

func (w *world) apply() Applied {
	w.t.Helper()
	done, err := w.r.Apply(w.state.View(), hostLinks)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// settle applies until what was removed and has no flows is gone.
func (w *world) settle() {
	w.t.Helper()
	for range 8 {
		w.apply()
		w.clock.advance(time.Minute)
	}
}

// node returns the node with that name, or fails.
func (w *world) node(name string) maps.NodeState {
	w.t.Helper()
	nodes, err := w.tables.Reader().Nodes()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range nodes {
		if n.Address == address(name) {
			return n
		}
	}
	w.t.Fatalf("node %s is not in the maps", name)
	return maps.NodeState{}
}

// tableOf returns the names of the nodes in the slots of the only service.
func (w *world) tableOf() string {
	w.t.Helper()
	services, err := w.tables.Reader().Services()
	if err != nil || len(services) != 1 {
		w.t.Fatalf("services: %v, %v; want one", services, err)
	}
	ids, err := tableNodes(w.tables, services[0].Word)
	if err != nil {
		w.t.Fatal(err)
	}
	names := ""
	for _, id := range ids {
		info, _ := w.tables.ReadNodeInfo(id)
		names += info.Label
	}
	return names
}

// flow makes an established flow to a node of the only service.
func (w *world) flow(name string, client uint16) {
	w.t.Helper()
	n := w.node(name)
	source, _ := w.tables.ReadSNAT(n.SNATs.First)
	err := w.tables.AddFlow(maps.Flow{
		Protocol: n.Protocol, Class: maps.Established, NodeID: n.ID, Node: n.Address,
		Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), client),
		VIP:    netip.AddrPortFrom(n.VIP.Addr, n.VIP.Port), Source: netip.AddrPortFrom(source, client),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
