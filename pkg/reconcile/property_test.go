package reconcile

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/state"
)

// machine drives a Reconciler over tables that fail, with packets' flows and restarts in between.
type machine struct {
	clock  clock
	tables *watched
	faulty *maps.Faulty
	state  *state.State
	r      *Reconciler
	snat   []netip.Addr

	desired  []lb.Balancer
	links    []netdev.Link
	clients  int
	revision uint64
}

func newMachine(t *rapid.T) *machine {
	m := &machine{clock: clock{time.Unix(1_800_000_000, 0)}, links: hostLinks}
	m.tables = newWatched(&m.clock, maps.FakeSizes{Nodes: 64, Services: 16, Slots: 1 << 16, Buckets4: 64, Buckets6: 64})
	m.faulty = maps.NewFaulty(m.tables, 0, rapid.Uint64().Draw(t, "seed"))
	m.state = state.New(m.clock.Now)
	if rapid.Bool().Draw(t, "configured snat") {
		m.snat = []netip.Addr{netip.MustParseAddr("10.0.9.1"), netip.MustParseAddr("10.0.9.2")}
	}
	m.restart(t)
	m.route(t)
	return m
}

func (m *machine) options() Options {
	return Options{SNAT: m.snat, Log: slog.New(slog.DiscardHandler), Now: m.clock.Now}
}

// restart is a new process on the old tables: it takes longer to start than a packet to pass.
func (m *machine) restart(*rapid.T) {
	m.r = New(m.faulty, m.options())
	clear(m.tables.slotsUsed)
	clear(m.tables.nodesUsed)
	clear(m.tables.snatsUsed)
}

func (m *machine) change(t *rapid.T) {
	m.revision++
	m.desired = randomBalancers(t)
	m.state.SetDesired(m.revision, m.desired)
}

func (m *machine) check(t *rapid.T) {
	m.clock.advance(time.Millisecond)
	m.state.SetHealth(health.ResultsOf(randomHealth(t, m.desired, m.clock.now)))
}

// announce answers for some of the VIPs, by some of the interfaces.
func (m *machine) announce(t *rapid.T) {
	var all []state.Announcement
	for _, vip := range append(append([]string{}, vips4...), vips6...) {
		for _, l := range hostLinks[:2] {
			if rapid.IntRange(0, 2).Draw(t, "announced") == 0 {
				all = append(all, state.Announcement{Addr: netip.MustParseAddr(vip), IfIndex: l.Index, MAC: l.MAC})
			}
		}
	}
	m.state.SetAnnounced(all)
}

func (m *machine) route(t *rapid.T) { m.state.SetHops(netdev.HopsOf(randomHops(t, false))) }

func (m *machine) relink(t *rapid.T) {
	m.links = nil
	for _, l := range hostLinks {
		if rapid.Bool().Draw(t, "link up") {
			m.links = append(m.links, l)
		}
	}
}

func (m *machine) wait(t *rapid.T) {
	m.clock.advance(rapid.SampledFrom([]time.Duration{time.Millisecond, 600 * time.Millisecond, 2 * time.Second, time.Minute}).Draw(t, "wait"))
	m.state.Advance()
}

func (m *machine) applyFailing(t *rapid.T) {
	m.faulty.SetRate(rapid.SampledFrom([]float64{0, 0.01, 0.1, 0.5}).Draw(t, "rate"))
	m.r.Apply(m.state.View(), m.links)
	m.faulty.SetRate(0)
}

// traffic makes a flow to a node that a table names, as a packet would.
func (m *machine) traffic(t *rapid.T) {
	services, _ := m.tables.Reader().Services()
	for _, s := range services {
		ids, _ := tableNodes(m.tables, s.Word)
		if !s.Published || len(ids) == 0 {
			continue
		}
		m.clients++
		id := ids[rapid.IntRange(0, len(ids)-1).Draw(t, "slot")]
		n, _ := m.tables.ReadNode(id)
		source, _ := m.tables.ReadSNAT(n.SNATs.First)
		client := netip.MustParseAddr("198.51.100.1")
		if s.VIP.Addr.Is6() {
			client = netip.MustParseAddr("2001:db8:9::1")
		}
		class := maps.Established
		if s.VIP.Protocol == lb.UDP {
			class = maps.UDPSession
		}
		link := maps.LinkSlot(rapid.SampledFrom(hostLinks).Draw(t, "client's link").Index, 0)
		err := m.tables.AddFlowFrom(maps.Flow{
			Protocol: s.VIP.Protocol, Class: class, NodeID: id,
			Client: netip.AddrPortFrom(client, uint16(1024+m.clients)), VIP: netip.AddrPortFrom(s.VIP.Addr, s.VIP.Port),
			Source: netip.AddrPortFrom(source, uint16(1536+m.clients)), Node: n.Address,
		}, maps.Hop{Link: link, MAC: [6]byte{2}})
		if err != nil {
			t.Skip("the flow table is full")
		}
	}
}

func (m *machine) endFlows(t *rapid.T) {
	m.tables.EndFlows(uint32(rapid.IntRange(1, 12).Draw(t, "node")))
}

func (m *machine) Check(t *rapid.T) {
	if len(m.tables.faults) > 0 {
		t.Fatalf("%d faults, the first: %s", len(m.tables.faults), m.tables.faults[0])
	}
	if faults := m.tables.Reader().Check(); len(faults) > 0 {
		t.Fatalf("flow table: %v", faults)
	}
}

// settle applies until what was removed is gone.
func (m *machine) settle(t *rapid.T) {
	for range 8 {
		if _, err := m.r.Apply(m.state.View(), m.links); err != nil {
			t.Fatalf("apply without faults: %v", err)
		}
		m.clock.advance(time.Minute)
	}
}

func TestAnyPastEndsInTheSameMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"change":  m.change,
			"check":   m.check,
			"route":   m.route,
			"answer":  m.announce,
			"relink":  m.relink,
			"wait":    m.wait,
			"apply":   m.applyFailing,
			"again":   m.applyFailing,
			"traffic": m.traffic,
			"end":     m.endFlows,
			"restart": m.restart,
			"":        m.Check,
		})
		// A node without a route keeps the source address that it had, so let all have one.
		m.state.SetHops(netdev.HopsOf(randomHops(t, true)))
		for id := range m.tables.Limits().Nodes {
			m.tables.EndFlows(id)
		}
		m.settle(t)
		m.Check(t)

		fresh := maps.NewFake(maps.FakeSizes{Now: m.clock.Now})
		if _, err := New(fresh, m.options()).Apply(m.state.View(), m.links); err != nil {
			t.Fatalf("apply to fresh maps: %v", err)
		}
		if diff := cmp.Diff(content(fresh, fresh.Reader()), content(m.tables, m.tables.Reader())); diff != "" {
			t.Fatalf("maps differ from fresh ones (-fresh +these):\n%s", diff)
		}
	})
}

func TestApplyTwiceWritesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		m.change(t)
		m.check(t)
		m.announce(t)
		m.settle(t)
		for name, r := range map[string]*Reconciler{"the same": m.r, "one restarted": New(m.tables, m.options())} {
			done, err := r.Apply(m.state.View(), m.links)
			if err != nil || done.Writes != 0 {
				t.Fatalf("%s: %d writes, error %v; none expected", name, done.Writes, err)
			}
		}
	})
}
