package maps

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/headgate/headgate/pkg/lb"
)

func TestFillCountsEntriesByClass(t *testing.T) {
	fill := withFlows(t, 30).Reader().Fill()
	if len(fill) != 2 || fill[0].Family != 4 || fill[0].Entries != 256*8 || fill[0].All() != 60 || fill[1].All() != 60 {
		t.Fatalf("%+v", fill)
	}
	for class, want := range map[FlowClass]uint64{HalfOpen: 20, Established: 20, Closing: 20, UDPSession: 0} {
		if got := fill[0].Used[class]; got != want {
			t.Errorf("%s: %d entries of IPv4, want %d", class, got, want)
		}
	}
	if got := fill[1].Used[UDPSession]; got != 60 {
		t.Errorf("%d entries of UDP, want 60", got)
	}
}

// Half-open flows may make a table look fuller than it is, and it is looked at then: never less so.
func TestFillFromLeavesOutWhatIsFarFromFull(t *testing.T) {
	r := withFlows(t, 30).Reader()
	of := func(active4, active6 uint64) []NodeState {
		return []NodeState{
			{Active: active4, Node: Node{Address: netip.MustParseAddrPort("10.0.0.9:80")}},
			{Active: active6, Node: Node{Address: netip.MustParseAddrPort("[fd00::9]:80")}},
		}
	}
	entries := uint64(256 * 8)
	for name, c := range map[string]struct {
		share float64
		nodes []NodeState
		want  []int
	}{
		"neither": {0.5, of(entries/4-1, 3), nil},
		"IPv4":    {0.5, of(entries/4, 3), []int{4}},
		"IPv6":    {0.5, of(0, entries/2), []int{6}},
		"all":     {0, of(0, 0), []int{4, 6}},
	} {
		var got []int
		for _, f := range r.FillFrom(c.share, c.nodes) {
			got = append(got, f.Family)
			if f.Entries != entries || f.All() != 60 {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestSourcePortsAreSharedByAllWhoGoToOneAddress(t *testing.T) {
	state := func(id uint32, address string, p lb.Protocol, active uint64, r SNATRange) NodeState {
		return NodeState{ID: id, Active: active, Node: Node{Address: netip.MustParseAddrPort(address), Protocol: p, SNATs: r}}
	}
	used := PortsUsed([]NodeState{
		state(1, "10.0.0.9:80", lb.TCP, 16000, SNATRange{First: 1, Count: 1}),
		state(2, "10.0.0.9:80", lb.TCP, 48000, SNATRange{First: 1, Count: 2}), // of another config
		state(3, "10.0.0.9:80", lb.UDP, 64000, SNATRange{First: 1, Count: 1}),
		state(4, "10.0.0.9:81", lb.TCP, 0, SNATRange{}),
	})
	for id, want := range map[uint32]float64{1: 0.5, 2: 0.5, 3: 1, 4: 0} {
		if got := used[id].Share(); got != want {
			t.Errorf("node %d: %v (%+v), want %v", id, got, used[id], want)
		}
	}
}
