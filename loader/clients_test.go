package loader_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

// stickyTables are the plain tables with three nodes at the first service, to which clients stick.
func stickyTables(bed *dptest.Bed) dptest.Service {
	fill(bed)
	s := dptest.Service{
		ID: 1, Proto: packet.ProtoTCP, VIP: netip.AddrPortFrom(netip.MustParseAddr(vip4), 80), Slots: []uint32{1, 5, 6},
		Sticking: dptest.Sticking{TTL: time.Hour},
	}
	for i, id := range s.Slots {
		bed.SetNode(dptest.Node{
			ID: id, Service: 1, Proto: packet.ProtoTCP, Address: netip.AddrPortFrom(netip.MustParseAddr(node4), 8080+uint16(i)),
			Hop: dptest.Hop{Link: 3, MAC: packet.MAC{2, 0, 0, 0, 3, 0x11}}, Actions: dptest.ActionNew | dptest.ActionStick, SNATCount: 1,
		})
	}
	bed.SetService(s)
	return s
}

// pair is how many workers open flows of one client at the same moment.
const pair = 2

// together has both workers open so many flows of each client, from ports of their own. For each flow
// they wait for each other: else their packets would seldom meet.
func together(bed *dptest.Bed, clients, flows, firstPort int) {
	var arrived atomic.Int64
	bed.Parallel(pair, func(worker int) func() []byte {
		i := -1
		return func() []byte {
			if i++; i == clients*flows {
				return nil
			}
			frame := syn4(clientAt(i/flows), firstPort+worker*flows+i%flows)
			arrived.Add(1)
			for arrived.Load() < int64(pair*(i+1)) {
				runtime.Gosched()
			}
			return frame
		}
	})
}

func clientAt(i int) string { return fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250) }

// A client's first connections often come together, by several queues. All go to one node, also when
// they find an entry that is dead.
func TestCPUsThatMeetTheSameClientGiveItOneNode(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 4096})
	s := stickyTables(bed)
	const clients, flows = 400, 2
	for round := range 2 {
		together(bed, clients, flows, 10000*(1+round))
		nodesOf := map[netip.Addr]map[uint32]int{}
		for _, f := range bed.Flows() {
			if client := f.In.Src; client.Port() >= uint16(10000*(1+round)) {
				if nodesOf[client.Addr()] == nil {
					nodesOf[client.Addr()] = map[uint32]int{}
				}
				nodesOf[client.Addr()][f.Node]++
			}
		}
		if len(nodesOf) != clients {
			t.Fatalf("round %d: flows of %d clients, want %d", round, len(nodesOf), clients)
		}
		for _, stick := range bed.Sticks() {
			if got := nodesOf[stick.Client]; len(got) != 1 || got[stick.Node] != pair*flows {
				t.Errorf("round %d: %s sticks to node %d, its flows went to %v", round, stick.Client, stick.Node, got)
			}
		}
		for _, id := range s.Slots {
			bed.SetGeneration(id, uint16(1+round)) // all entries are dead
		}
	}
	check(t, bed)
}

// A client that opens flows by several queues at the same time gets no more than its rate.
func TestCPUsThatMeetTheSameClientThrottleItTogether(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 4096})
	s := stickyTables(bed)
	s.Throttle = dptest.Throttle{Rate: 1, Group: 1}
	bed.SetService(s)
	const clients = 800
	before := bed.Reasons()
	together(bed, clients, 1, 10000)
	opened := map[netip.Addr]int{}
	for _, f := range bed.Flows() {
		if opened[f.In.Src.Addr()]++; opened[f.In.Src.Addr()] > 1 {
			t.Errorf("%s opened more than one flow", f.In.Src.Addr())
		}
	}
	if len(opened) != clients {
		t.Errorf("%d clients opened flows, want %d", len(opened), clients)
	}
	if got := bed.Reasons()["throttled"] - before["throttled"]; got != clients {
		t.Errorf("%d packets were throttled, want %d", got, clients)
	}
	check(t, bed)
}
