package api

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/headgate/headgate/pkg/lb"
)

func node(label, address string, weight int, mode lb.Mode) lb.Node {
	return lb.Node{Label: label, Address: netip.MustParseAddrPort(address), Weight: weight, Mode: mode, Override: lb.OverrideNone}
}

func web(nodes ...lb.Node) []lb.Balancer {
	b := lb.Balancer{Label: "web", IPv4: netip.MustParseAddr("203.0.113.10"),
		Configs: []lb.Config{{Port: 80, Nodes: slices.Clone(nodes)}}}
	b.SetDefaults()
	return []lb.Balancer{b}
}

var (
	n1 = node("web-1", "192.0.2.11:8080", 50, lb.Accept)
	n2 = node("web-2", "192.0.2.12:8080", 50, lb.Accept)
	n3 = node("web-3", "192.0.2.13:8080", 100, lb.Backup)
)

func healthy(lb.NodeKey) bool { return false }
func allUp(*lb.Node) bool     { return false }

func TestThePlanNamesEveryStep(t *testing.T) {
	renamed := n2
	renamed.Label, renamed.Weight, renamed.Override = "web-two", 75, lb.OverrideDown
	held := n3
	held.Override = lb.OverrideUp
	from := append(web(n1, n2), lb.Balancer{Label: "old", IPv4: netip.MustParseAddr("203.0.113.11")})
	to := append(web(renamed, held), lb.Balancer{Label: "new", IPv4: netip.MustParseAddr("203.0.113.12"), IPv6: netip.MustParseAddr("2001:db8::12")})
	to[0].Tags = []string{"a", "b"}
	to[0].Configs[0].OnDown, to[0].Configs[0].TCPIdle = lb.DownReset, 2*time.Hour
	want := Plan{
		Steps: []Step{
			{Change, KindBalancer, "web", []string{"tags: none → a, b"}},
			{Change, "config", "web/80", []string{"on_down: keep → reset", "tcp_idle: 1h → 2h"}},
			{Remove, "node", "web/80/web-1", []string{"192.0.2.11:8080"}},
			{Change, "node", "web/80/web-two", []string{"label: web-2 → web-two", "weight: 50 → 75", "override: none → down"}},
			{Add, "node", "web/80/web-3", []string{"192.0.2.13:8080, weight 100, mode backup, override up"}},
			{Remove, "balancer", "old", nil},
			{Add, "balancer", "new", []string{"VIPs 203.0.113.12 2001:db8::12"}},
		},
		Moves: []ConfigMove{{Config: "web/80", Share: 1}}, // set DOWN the only primary is nobody's node
	}
	if diff := cmp.Diff(want, Diff(from, to), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if p := Diff(from, from); !p.Empty() || len(p.Moves) > 0 {
		t.Errorf("nothing changes, yet %+v", p)
	}
}

func TestClientsMovedAreTheDifferenceOfShares(t *testing.T) {
	v6 := node("six", "[2001:db8::1]:80", 50, lb.Accept)
	drained := n2
	drained.Mode = lb.Drain
	heavier := n2
	heavier.Weight = 150
	for _, tt := range []struct {
		name     string
		from, to []lb.Node
		want     float64
	}{
		{"nothing", []lb.Node{n1, n2}, []lb.Node{n2, n1}, 0},
		{"a third equal node", []lb.Node{n1, n2}, []lb.Node{n1, n2, node("c", "192.0.2.19:80", 50, lb.Accept)}, 0.333333},
		{"half drained", []lb.Node{n1, n2}, []lb.Node{n1, drained}, 0.5},
		{"a weight of 3 to 1", []lb.Node{n1, n2}, []lb.Node{n1, heavier}, 0.25},
		{"a backup more", []lb.Node{n1}, []lb.Node{n1, n3}, 0},
		{"only the backup is left", []lb.Node{n1, n3}, []lb.Node{n3}, 1},
		{"nobody is left", []lb.Node{n1, n2}, []lb.Node{drained}, 1},
		{"the last of a family goes", []lb.Node{n1, v6}, []lb.Node{n1}, 1},
		{"a new family moves nobody", []lb.Node{n1}, []lb.Node{n1, v6}, 0},
		{"families are counted apart", []lb.Node{n1, n2, v6}, []lb.Node{n1, drained, v6}, 0.5},
	} {
		m := moved(&lb.Config{Nodes: tt.from}, &lb.Config{Nodes: tt.to}, nil, allUp)
		if m.Share != tt.want || m.Refused != (tt.name == "nobody is left" || tt.name == "the last of a family goes") {
			t.Errorf("%s: %v, refused %v, want %v", tt.name, m.Share, m.Refused, tt.want)
		}
	}
}

// TestE23ThePlanCountsTheClientsThatMove where their addresses choose their nodes: with a change of mode exactly those
// of the node that changes, with a change of the set some more.
func TestE23ThePlanCountsTheClientsThatMove(t *testing.T) {
	drained, lighter := n2, n2
	drained.Mode, lighter.Weight = lb.Drain, 25
	n4 := node("web-4", "192.0.2.14:8080", 100, lb.Accept)
	for _, tt := range []struct {
		name        string
		from, to    []lb.Node
		least, most float64
	}{
		{"nothing", []lb.Node{n1, n2, n4}, []lb.Node{n4, n2, n1}, 0, 0},
		{"a quarter drained", []lb.Node{n1, n2, n4}, []lb.Node{n1, drained, n4}, 0.25, 0.2502},
		{"a quarter removed", []lb.Node{n1, n2, n4}, []lb.Node{n1, n4}, 0.25, 0.27},
		{"a lighter node", []lb.Node{n1, n2, n4}, []lb.Node{n1, lighter, n4}, 0.1071, 0.13},
		{"only the backup is left", []lb.Node{n1, n3}, []lb.Node{n3}, 1, 1},
	} {
		from, to := &lb.Config{Algorithm: lb.Source, Nodes: tt.from}, &lb.Config{Algorithm: lb.Source, Nodes: tt.to}
		if got := moved(from, to, nil, allUp).Share; got < tt.least-0.0002 || got > tt.most {
			t.Errorf("%s: %v, want %v to %v", tt.name, got, tt.least, tt.most)
		}
		to.Algorithm = lb.LeastConn
		if got := moved(from, to, nil, allUp).Share; got > tt.least+0.0001 {
			t.Errorf("%s, by another algorithm: %v, want %v", tt.name, got, tt.least)
		}
	}
}

func TestThePlanTellsNodesWithTheSameLabelApart(t *testing.T) {
	twin := node("web-1", "192.0.2.12:8080", 50, lb.Accept)
	heavier, other := twin, n3
	heavier.Weight, other.Weight = 75, 7
	want := []Step{
		{Change, "node", "web/80/192.0.2.12:8080", []string{"weight: 50 → 75"}},
		{Change, "node", "web/80/web-3", []string{"weight: 100 → 7"}},
	}
	got := Diff(web(n1, twin, n3), web(n1, heavier, other)).Steps
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A node that is found DOWN has no clients to lose, and is nothing to move to.
func TestThePlanDoesNotCountOnNodesThatAreDown(t *testing.T) {
	set := func(n lb.Node, mode lb.Mode, o lb.Override) lb.Node {
		n.Mode, n.Override = mode, o
		return n
	}
	draining := func(n lb.Node) lb.Node { return set(n, lb.Drain, lb.OverrideNone) }
	n4 := node("web-4", "192.0.2.14:8080", 50, lb.Accept)
	for _, tt := range []struct {
		name     string
		from, to []lb.Node
		down     []lb.Node
		want     ConfigMove // without its config; a Share of 0: there is none
	}{
		{"one that is DOWN is drained", []lb.Node{n1, n2, n4}, []lb.Node{n1, draining(n2), n4}, []lb.Node{n2}, ConfigMove{}},
		{"one beside it is", []lb.Node{n1, n2, n4}, []lb.Node{n1, n2, draining(n4)}, []lb.Node{n2}, ConfigMove{Share: 0.5, Down: 1}},
		{"the last that is UP is", []lb.Node{n1, n2}, []lb.Node{draining(n1), n2}, []lb.Node{n2}, ConfigMove{Share: 1, Down: 1, Refused: true}},
		{"for backups that are DOWN, too", []lb.Node{n1, n3}, []lb.Node{draining(n1), n3}, []lb.Node{n3}, ConfigMove{Share: 1, Down: 1, Refused: true}},
		{"a backup serves already", []lb.Node{n1, n3}, []lb.Node{draining(n1), n3}, []lb.Node{n1}, ConfigMove{}},
		{"people know better", []lb.Node{n1, n2}, []lb.Node{n1, set(n2, lb.Accept, lb.OverrideUp)}, []lb.Node{n2}, ConfigMove{Share: 0.5, Down: 1}},
		{"people take one out", []lb.Node{n1, n2}, []lb.Node{n1, set(n2, lb.Accept, lb.OverrideDown)}, nil, ConfigMove{Share: 0.5}},
		{"all are DOWN: nobody moves", []lb.Node{n1, n2}, []lb.Node{n1, draining(n2)}, []lb.Node{n1, n2}, ConfigMove{}},
	} {
		down := func(key lb.NodeKey) bool {
			return key.Config.String() == "web/80" && slices.ContainsFunc(tt.down, func(n lb.Node) bool { return n.Address == key.Address })
		}
		for _, algorithm := range []lb.Algorithm{lb.RoundRobin, lb.Source} {
			from, to := web(tt.from...), web(tt.to...)
			from[0].Configs[0].Algorithm, to[0].Configs[0].Algorithm = algorithm, algorithm
			to[0].ID, from[0].ID, to[0].Label = 1, 1, "www" // a name may change meanwhile
			got := DiffLive(from, to, func(*lb.Balancer, *lb.Config, *lb.Node) uint64 { return 0 }, down).Moves
			var want []ConfigMove
			if tt.want.Share > 0 {
				want = []ConfigMove{tt.want}
				want[0].Config, want[0].ByClient = "web/80", algorithm == lb.Source
			}
			close := cmpopts.EquateApprox(0, 0.03)
			if diff := cmp.Diff(want, got, close, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, %s: (-want +got)\n%s", tt.name, algorithm, diff)
			}
		}
	}
}

// Below min_eligible the backups serve, also in a plan.
func TestThePlanKnowsWhenBackupsServe(t *testing.T) {
	drained := n2
	drained.Mode = lb.Drain
	from, to := web(n1, n2, n3), web(n1, drained, n3)
	for i := range from {
		from[i].Configs[0].MinEligible, to[i].Configs[0].MinEligible = lb.MinEligible{N: 2}, lb.MinEligible{N: 2}
	}
	if got := Diff(from, to).Moves; len(got) != 1 || got[0].Share != 1 {
		t.Errorf("%+v", got)
	}
}

// TestThePlanSaysWhoLosesService where a config, its balancer or its VIP goes: no node of it would refuse them.
func TestThePlanSaysWhoLosesService(t *testing.T) {
	six := node("six", "[2001:db8::1]:80", 50, lb.Accept)
	const v4, v6 = "203.0.113.10", "2001:db8::10"
	before := func() []lb.Balancer {
		bs := web(n1, n2, six)
		bs[0].ID, bs[0].IPv6 = 1, netip.MustParseAddr(v6)
		return bs
	}
	drained, another := n1, netip.MustParseAddr("203.0.113.11")
	drained.Mode = lb.Drain
	for _, tt := range []struct {
		name   string
		change func(bs []lb.Balancer) []lb.Balancer
		down   []lb.Node
		want   []ConfigMove
	}{
		{"config", func(bs []lb.Balancer) []lb.Balancer { bs[0].Configs = nil; return bs }, nil, []ConfigMove{{Share: 1, Unserved: []string{v4, v6}}}},
		{"balancer", func([]lb.Balancer) []lb.Balancer { return nil }, nil, []ConfigMove{{Share: 1, Unserved: []string{v4, v6}}}},
		{"those of IPv4 had no service", func([]lb.Balancer) []lb.Balancer { return nil }, []lb.Node{n1, n2}, []ConfigMove{{Share: 1, Unserved: []string{v6}}}},
		{"nobody had", func([]lb.Balancer) []lb.Balancer { return nil }, []lb.Node{n1, n2, six}, nil},
		{"another VIP", func(bs []lb.Balancer) []lb.Balancer { bs[0].IPv4 = another; return bs }, nil, []ConfigMove{{Share: 1, Unserved: []string{v4}}}},
		{"no VIP and no node of a family", func(bs []lb.Balancer) []lb.Balancer {
			bs[0].IPv6, bs[0].Configs[0].Nodes = netip.Addr{}, []lb.Node{n1, n2}
			return bs
		}, nil, []ConfigMove{{Share: 1, Unserved: []string{v6}}}},
		{"and none left for the other", func(bs []lb.Balancer) []lb.Balancer {
			bs[0].IPv6, bs[0].Configs[0].Nodes = netip.Addr{}, []lb.Node{drained}
			return bs
		}, nil, []ConfigMove{{Share: 1, Refused: true, Unserved: []string{v6}}}},
		{"another protocol", func(bs []lb.Balancer) []lb.Balancer { bs[0].Configs[0].Protocol = lb.UDP; return bs }, nil,
			[]ConfigMove{{Share: 1, Unserved: []string{v4, v6}}}},
		{"a new balancer takes over", func(bs []lb.Balancer) []lb.Balancer { bs[0].ID, bs[0].Label = 2, "www"; return bs }, nil, nil},
		{"a new balancer without one of its nodes", func(bs []lb.Balancer) []lb.Balancer {
			bs[0].ID, bs[0].Label, bs[0].Configs[0].Nodes[0].Mode = 2, "www", lb.Drain
			return bs
		}, nil, []ConfigMove{{Share: 0.5}}},
		{"another label", func(bs []lb.Balancer) []lb.Balancer { bs[0].Label = "www"; return bs }, nil, nil},
	} {
		down := func(key lb.NodeKey) bool {
			return slices.ContainsFunc(tt.down, func(n lb.Node) bool { return n.Address == key.Address })
		}
		got := DiffLive(before(), tt.change(before()), func(*lb.Balancer, *lb.Config, *lb.Node) uint64 { return 0 }, down).Moves
		for i := range tt.want {
			tt.want[i].Config = "web/80"
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}
