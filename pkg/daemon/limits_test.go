package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/reconcile"
)

// limitBed is limits that looks are made up for.
type limitBed struct {
	limits
	t   *testing.T
	now time.Time
	seq uint64
}

func newLimitBed(t *testing.T) *limitBed {
	return &limitBed{limits: limits{chronicle: quietly()}, t: t, now: time.Unix(1_800_000_000, 0)}
}

// nodeWith is a node of web/80 with so many flows, under an id of its own.
func nodeWith(id uint32, active uint64, most uint32) maps.NodeState {
	n := maps.NodeState{ID: id, Balancer: "web", VIP: maps.VIP{Addr: netip.MustParseAddr("203.0.113.10"), Port: 80, Protocol: lb.TCP}, Active: active}
	n.Address, n.Label, n.Status.Lifecycle, n.Protocol = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(id)}), 8080), fmt.Sprintf("web-%d", id), maps.Present, lb.TCP
	n.Load.MaxConns, n.SNATs = most, maps.SNATRange{First: 1, Count: 1}
	return n
}

// after looks so much later, and wants these events: their limits, how full they were and are, and how their texts begin.
func (b *limitBed) after(d time.Duration, k look, want ...string) {
	b.t.Helper()
	b.now = b.now.Add(d)
	k.at, k.ports = b.now, maps.PortsUsed(k.nodes)
	b.look(&k)
	b.told(fmt.Sprintf("%+v", k.nodes), want...)
}

func (b *limitBed) told(what string, want ...string) {
	b.t.Helper()
	var got []string
	for _, e := range b.chronicle.book.Read(events.Filter{Kinds: []events.Kind{events.Limit}, After: b.seq}, 0) {
		got = append(got, fmt.Sprintf("%s %s→%s %s", e.Limit, e.From, e.To, e.Text))
		b.seq = e.Seq
	}
	same := len(got) == len(want)
	for i := range want {
		same = same && strings.HasPrefix(got[i], want[i])
	}
	if !same {
		b.t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestALimitIsToldWhenItIsReachedAndWhenItIsLeft(t *testing.T) {
	tables := func(used uint64) look {
		return look{fill: []maps.TableFill{{Family: 4, Entries: 1000, Used: map[maps.FlowClass]uint64{maps.Established: used, maps.HalfOpen: 1000 - used}}}}
	}
	nodes := func(active uint64, most uint32) look { return look{nodes: []maps.NodeState{nodeWith(7, active, most)}} }
	clients := func(table string, used uint64) look {
		return look{clients: []maps.ClientFill{{Table: table, Entries: 1000, Used: used}}}
	}
	refused := func(reason string, packets uint64) look {
		info := maps.ServiceInfo{Balancer: "web", VIP: maps.VIP{Addr: vip4, Port: 80, Protocol: lb.TCP}}
		return look{refused: []maps.Refusals{{ID: 3, ServiceInfo: info, Reasons: []maps.ReasonCount{{Name: "no_backend", Packets: 7}, {Name: reason, Packets: packets}}}}}
	}
	for name, c := range map[string]struct {
		none, nearly, reached look
		near, full, free      string
	}{
		"the flow table": {tables(100), tables(800), tables(960),
			"flow_table free→near the IPv4 flow table is 80 % full of established flows, which never give way",
			"flow_table near→full the IPv4 flow table is 96 % full of established flows",
			"flow_table full→free the IPv4 flow table has room again: 10 % are established flows"},
		"the source ports of a node": {nodes(10, 0), nodes(45000, 0), nodes(64000, 0),
			"source_ports free→near web/80/web-7 has 70% of its source ports in use (45000 of 64000): another snat address",
			"source_ports near→full web/80/web-7 has 100% of its source ports in use (64000 of 64000): new flows are refused (no_port)",
			"source_ports full→free web/80/web-7 has source ports again: 10 of 64000 are in use"},
		"max_conns of a node": {nodes(10, 100), nodes(99, 100), nodes(100, 100), "",
			"max_conns free→full web/80/web-7 is full with 100 flows (max_conns 100): new ones go to other nodes, or are refused",
			"max_conns full→free web/80/web-7 is not full any more: 10 flows (max_conns 100)"},
		"the stick table": {clients("sticks", 100), clients("sticks", 850), clients("sticks", 990),
			"sticky_table free→near 850 clients that stick to nodes are remembered, and there is room for 1000: once it is used up, those",
			"sticky_table near→full 990 clients that stick to nodes are remembered, and there is room for 1000: those who were seen least recently are scheduled anew; make sticky_table larger",
			"sticky_table full→free 100 clients that stick to nodes are remembered, and there is room for 1000 again"},
		"the throttle table": {clients("throttles", 100), clients("throttles", 100), clients("throttles", 990), "",
			"throttle_table free→full 990 clients that open flows are remembered, and there is room for 1000: those who were seen least recently may open more than their rate; make throttle_table larger",
			"throttle_table full→free 100 clients that open flows"},
		"a throttle": {refused("throttled", 5), refused("throttled", 5), refused("throttled", 11), "",
			"throttle free→full web/80: clients are refused: its client opens flows faster than its balancer allows (throttled, 6 in the last seconds)",
			"throttle full→free web/80: for 30s no packet was refused any more as throttled"},
		"max_conns of all nodes": {refused("other", 5), refused("nodes_full", 0), refused("nodes_full", 1), "",
			"max_conns free→full web/80: clients are refused: every node that takes new flows has max_conns of them (nodes_full, 1 in the last seconds)",
			"max_conns full→free web/80: for 30s no packet was refused any more as nodes_full"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newLimitBed(t)
			one := func(text string) (list []string) {
				if text != "" {
					list = append(list, text)
				}
				return list
			}
			b.after(0, c.none)
			b.after(5*time.Second, c.nearly, one(c.near)...)
			b.after(5*time.Second, c.reached, c.full)
			still, less := c.reached, c.none
			if still.refused != nil { // what is counted goes on counting, and then it stays
				reason := still.refused[0].Reasons[1].Name
				still, less = refused(reason, 12), refused(reason, 12)
			}
			b.after(5*time.Second, still)
			b.after(5*time.Second, less)
			b.after(calm-time.Second, less)
			b.after(time.Second, less, c.free)
			b.after(time.Hour, less)
		})
	}
}

// What hovers around a limit is told of once.
func TestALimitDoesNotFlap(t *testing.T) {
	b := newLimitBed(t)
	with := func(active uint64) look { return look{nodes: []maps.NodeState{nodeWith(7, active, 100)}} }
	b.after(0, with(100), "max_conns free→full")
	for range 100 {
		b.after(5*time.Second, with(91)) // less, but not by much
		b.after(5*time.Second, with(100))
		b.after(calm-time.Second, with(3)) // much less, but not for long
		b.after(time.Second, with(3))
		b.after(time.Second, with(100))
	}
	for range 10 {
		b.after(calm, with(91)) // for long, but not by much
	}
	b.after(time.Second, look{}) // it is gone, and nothing is remembered of it
	b.after(time.Second, with(100), "max_conns free→full")
}

// A node is known by its config and address: its id may be another after a change.
func TestALimitIsKnownByItsNodeAndNotByItsId(t *testing.T) {
	b := newLimitBed(t)
	n := nodeWith(7, 100, 100)
	b.after(0, look{nodes: []maps.NodeState{n}}, "max_conns free→full")
	n.ID = 99
	b.after(5*time.Second, look{nodes: []maps.NodeState{n}})
	other := nodeWith(8, 100, 100)
	other.ID = 7
	b.after(5*time.Second, look{nodes: []maps.NodeState{n, other}}, "max_conns free→full web/80/web-8")
}

func TestManyLimitsAtOnceAreSummedUp(t *testing.T) {
	b := newLimitBed(t)
	var all []maps.NodeState
	for id := range uint32(limitsMost + 5) {
		all = append(all, nodeWith(id+1, 100, 100))
	}
	want := slices.Repeat([]string{"max_conns free→full web/80/web-"}, limitsMost)
	b.after(0, look{nodes: all}, append(want, "max_conns →full max_conns: 5 more are full (`headgate status` shows them)")...)
	for i := range all {
		all[i].Active = 0
	}
	b.after(time.Second, look{nodes: all})
	want = slices.Repeat([]string{"max_conns full→free web/80/web-"}, limitsMost)
	b.after(calm, look{nodes: all}, append(want, "max_conns →free max_conns: 5 more are not full any more")...)
}

// The engine reads what limits are told by, and leaves out what it need not read.
func TestTheEngineTellsOfLimits(t *testing.T) {
	logged(t, strings.Replace(twoNodes, `8080"}`, `8080", max_conns: 3}`, 1), func(t *testing.T, r *rig, j *journal) {
		n := r.inMaps(t, "192.0.2.11:8080")
		for i := range 3 {
			if err := r.tables.AddFlow(maps.Flow{Protocol: lb.TCP, Class: maps.Established, NodeID: n.ID, Node: n.Address,
				Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), uint16(1000+i)), VIP: netip.MustParseAddrPort("203.0.113.10:80"),
				Source: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1600+i))}); err != nil {
				t.Fatal(err)
			}
		}
		r.everySecond(time.Now())
		line := `level=WARN msg="web/80/web-1 is full with 3 flows (max_conns 3): new ones go to other nodes, or are refused (nodes_full) where there is none"` +
			` event=limit config=web/80 node=web/80/web-1 from=free to=full limit=max_conns`
		if got := j.take(); !slices.Contains(got, line) {
			t.Errorf("%s\nwant among them\n%s", strings.Join(got, "\n"), line)
		}
	})
}

// A map without room is a limit, too: what there is no room for is left out until there is.
func TestMapsWithoutRoomAreALimit(t *testing.T) {
	r := newRig(t, twoNodes)
	b := &limitBed{limits: r.limits, t: t}
	r.broken.failures = []error{fmt.Errorf("slots: %w", reconcile.ErrFull), errors.New("another fault"), errors.New("another fault")}
	r.settle(true)
	b.told("no room", "maps free→full write generation 1 to the data path: slots: no room left")
	r.settle(true)
	b.told("something else")
	r.settle(true)
	r.settle(true)
	b.told("well again, after another fault")
	r.broken.failures = []error{reconcile.ErrFull}
	r.settle(true)
	r.settle(true)
	b.told("well again", "maps free→full", "maps full→free the data path is up to date again")
}
