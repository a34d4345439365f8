package maps

import (
	"net/netip"
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
