package daemon

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// drainBed is drains with a view and counts of its own.
type drainBed struct {
	*drains
	t   *testing.T
	j   *journal
	now time.Time
	svc state.Service

	sticks uint64
}

func newDrainBed(t *testing.T) *drainBed {
	r, j := newRig(t, twoNodes), &journal{}
	r.says.log = j.logger()
	return &drainBed{
		drains: &drains{chronicle: r.says}, t: t, j: j, now: time.Unix(1_800_000_000, 0),
		svc: state.Service{Config: web1.Config, VIP: netip.MustParseAddr("203.0.113.10"), Port: 80, Protocol: lb.TCP},
	}
}

func (b *drainBed) mode(m lb.Mode, deadline time.Duration) *state.Node {
	n := &state.Node{Key: web1, Label: "web-1", Mode: m, ModeSince: b.now}
	if deadline > 0 {
		n.Deadline = b.now.Add(deadline)
	}
	return n
}

// lookAt looks a second later at a node with so many flows, and wants these events, by their text.
func (b *drainBed) lookAt(active uint64, lifecycle maps.Lifecycle, want ...string) {
	b.t.Helper()
	b.now = b.now.Add(time.Second)
	s := maps.NodeState{ID: 1, Balancer: "web", VIP: maps.VIP{Addr: b.svc.VIP, Port: 80, Protocol: lb.TCP}, Active: active}
	s.Address, s.Status.Lifecycle, s.Label = web1.Address, lifecycle, "web-1"
	b.begin()
	b.look(b.now, []maps.NodeState{s}, map[uint32]uint64{1: b.sticks, 2: 99})
	var got []string
	for _, line := range b.j.take() {
		_, text, _ := strings.Cut(line, `msg="`)
		text, _, _ = strings.Cut(text, `"`)
		got = append(got, text)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("with %d flows: %q, want %q", active, got, want)
	}
}

func TestE12DrainedIsToldWhenTheLastFlowHasEnded(t *testing.T) {
	b := newDrainBed(t)
	b.follow(&b.svc, b.mode(lb.Drain, 0), false)
	b.lookAt(2, maps.Present)
	b.follow(&b.svc, &state.Node{Key: web1, Label: "web-1", Mode: lb.Drain, ModeSince: b.nodes[web1].since}, false) // another view
	b.lookAt(1, maps.Present)
	b.lookAt(0, maps.Present, "web/80/web-1 (drain): drained, no flow is left")
	b.lookAt(0, maps.Present)
	b.lookAt(1, maps.Present) // of a client that sticks to it
	b.lookAt(0, maps.Present)

	b.follow(&b.svc, b.mode(lb.Reject, 0), false)
	b.lookAt(0, maps.Present, "web/80/web-1 (reject): drained, no flow is left")
	b.follow(&b.svc, b.mode(lb.Accept, 0), false)
	if b.watching() {
		t.Error("a node that takes new flows is watched")
	}
	b.lookAt(0, maps.Present)
}

// Clients that stick to a node in drain may come again: that is told with the last flow's end, and when none does.
func TestE12StickEntriesAreToldOfAsWellAsFlows(t *testing.T) {
	b := newDrainBed(t)
	b.svc.Sticky, b.sticks = true, 3
	b.follow(&b.svc, b.mode(lb.Drain, 0), false)
	if !b.asksForSticks() {
		t.Error("nobody asks who sticks to the node")
	}
	b.lookAt(2, maps.Present)
	b.lookAt(0, maps.Present, "web/80/web-1 (drain): no flow is left; still stuck to it, and free to come again: 3 clients")
	b.lookAt(1, maps.Present) // one came
	b.sticks = 0
	b.lookAt(1, maps.Present)
	b.lookAt(0, maps.Present, "web/80/web-1 (drain): drained, no client sticks to it any more")
	b.lookAt(0, maps.Present)
	if b.asksForSticks() {
		t.Error("all is said, and still the entries are counted")
	}
	b.follow(&b.svc, b.mode(lb.Reject, 0), false) // which no entry leads to
	if b.asksForSticks() {
		t.Error("entries do not lead to a node in reject")
	}
}

func TestE12ADeadlineIsToldWhenItEndsFlows(t *testing.T) {
	b := newDrainBed(t)
	b.follow(&b.svc, b.mode(lb.Drain, 2*time.Second), false)
	b.lookAt(3, maps.Present)
	b.lookAt(3, maps.Present, "web/80/web-1 (drain): its deadline has come, 3 flows are ended")
	b.lookAt(1, maps.Present)
	b.lookAt(0, maps.Present, "web/80/web-1 (drain): drained, no flow is left")
}

func TestE12ARemovedNodeIsFollowedToItsEnd(t *testing.T) {
	b := newDrainBed(t)
	b.remove(web1, "web-1")
	b.lookAt(1, maps.Removed)
	b.lookAt(0, maps.Removed, "web/80/web-1 (removed): drained, no flow is left")
	if b.watching() {
		t.Error("it is watched still")
	}
}

// A start is no news: nodes that had nothing left are not told of again, those that have are.
func TestE12AStartTellsOnlyOfFlowsThatEndAfterIt(t *testing.T) {
	b := newDrainBed(t)
	b.follow(&b.svc, b.mode(lb.Drain, 0), true)
	b.lookAt(0, maps.Present)

	b = newDrainBed(t)
	b.follow(&b.svc, b.mode(lb.Drain, 0), true)
	b.lookAt(5, maps.Present)
	b.lookAt(0, maps.Present, "web/80/web-1 (drain): drained, no flow is left")

	b = newDrainBed(t)
	b.lookAt(5, maps.Removed)
	b.lookAt(0, maps.Removed, "web/80/web-1 (removed): drained, no flow is left")
}

func TestE12StatusTellsTheOldestFlowAndTheDeadline(t *testing.T) {
	r := newRig(t, twoNodes)
	nodes, err := r.tables.Reader().Nodes()
	if err != nil || len(nodes) != 2 {
		t.Fatalf("nodes %v, %v", nodes, err)
	}
	for i, age := range []time.Duration{time.Minute, time.Hour} {
		f := maps.Flow{
			Protocol: lb.TCP, Class: maps.Established, NodeID: nodes[0].ID, Node: nodes[0].Address, Age: age,
			Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), uint16(1000+i)),
			VIP:    netip.AddrPortFrom(nodes[0].VIP.Addr, nodes[0].VIP.Port), Source: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(2000+i)),
		}
		if err := r.tables.AddFlow(f); err != nil {
			t.Fatal(err)
		}
	}
	status := nodes[0].Status
	status.Mode, status.Actions = lb.Drain, maps.HasDeadline
	now := time.Now()
	if err := r.tables.WriteDeadline(nodes[0].ID, r.tables.Moment(now.Add(5*time.Minute))); err != nil {
		t.Fatal(err)
	}
	if err := r.tables.WriteStatus(nodes[0].ID, status); err != nil {
		t.Fatal(err)
	}
	l := newLooker(r.tables.Reader())
	states, err := l.reader.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	configs := configsOf(states, nil, nil)
	l.detail(configs, states)
	n := configs[0].Nodes[0]
	if n.OldestFlowMS == nil || time.Duration(*n.OldestFlowMS)*time.Millisecond < 59*time.Minute || n.ActiveFlows != 2 {
		t.Errorf("%d flows, the oldest %v ms", n.ActiveFlows, n.OldestFlowMS)
	}
	if n.Deadline == nil || n.Deadline.Sub(now).Round(time.Minute) != 5*time.Minute {
		t.Errorf("deadline %v", n.Deadline)
	}
	if other := configs[0].Nodes[1]; other.OldestFlowMS != nil || other.Deadline != nil {
		t.Errorf("a node that takes new flows: %+v", other)
	}
}

func TestStatusWarnsBeforeSourcePortsAreUsedUp(t *testing.T) {
	node := func(id uint32, active uint64) maps.NodeState {
		s := maps.NodeState{ID: id, Balancer: "web", VIP: maps.VIP{Addr: netip.MustParseAddr("203.0.113.10"), Port: 80, Protocol: lb.TCP}, Active: active}
		s.Label, s.Address, s.Protocol, s.Status.Lifecycle = fmt.Sprintf("n-%d", id), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}), 80), lb.TCP, maps.Present
		s.SNATs = maps.SNATRange{First: 0, Count: 1}
		return s
	}
	states := []maps.NodeState{node(1, 44_799), node(2, 44_800), node(3, 64_000)}
	configs := configsOf(states, nil, nil)
	got := newLooker(maps.NewFake(maps.FakeSizes{}).Reader()).detail(configs, states)
	want := []string{
		"web/80/n-2 has 70% of its source ports in use (44800 of 64000): another snat address gives it 64,000 more",
		"web/80/n-3 has 100% of its source ports in use (64000 of 64000): new flows are refused (no_port) unless they can have the port of one that is half-open or closing; another snat address gives it 64,000 more",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
	if n := configs[0].Nodes[2]; n.SourcePorts != 64_000 || n.SourcePortsUsed != 64_000 {
		t.Errorf("%+v", n)
	}
	for id := range uint32(20) {
		states = append(states, node(10+id, 60_000))
	}
	if got := newLooker(maps.NewFake(maps.FakeSizes{}).Reader()).detail(configsOf(states, nil, nil), states); len(got) != warningsMost+1 || got[warningsMost] != "14 more nodes are short of source ports" {
		t.Errorf("%q", got)
	}
}
