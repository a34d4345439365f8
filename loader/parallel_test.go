package loader_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

const (
	workers      = 4
	halfOpenTime = 11 * time.Second
)

func TestCPUsThatOpenTheSameFlowEndWithOne(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 2048})
	fill(bed)
	const clients = 2000
	var frames [][]byte
	for i := range clients {
		frames = append(frames, syn4(fmt.Sprintf("198.51.100.%d", i%200), 40000+i/200))
	}
	before := bed.Counters()
	bed.Parallel(workers, func(int) func() []byte {
		i := -1
		return func() []byte {
			if i++; i == clients {
				return nil
			}
			return frames[i]
		}
	})
	after := bed.Counters()
	if n := len(bed.Flows()); n != clients {
		t.Errorf("%d flows, want %d", n, clients)
	}
	if n := after.Reasons["new_flow"] - before.Reasons["new_flow"]; n != clients {
		t.Errorf("%d times a new flow, want %d", n, clients)
	}
	if n := after.Stats[1].Flows - before.Stats[1].Flows; n != clients {
		t.Errorf("the node counts %d flows, want %d", n, clients)
	}
	if n := after.Reasons["table_busy"] - before.Reasons["table_busy"]; n > clients*workers/100 {
		t.Errorf("%d of %d packets met a bucket that stayed locked", n, clients*workers)
	}
	check(t, bed)
}

// TestStormLeavesATableWithoutFaults lets several CPUs open, establish, close, reset and evict the same
// few flows of a table that is too small, with the sweep in between.
func TestStormLeavesATableWithoutFaults(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 4, Buckets6: 4})
	fill(bed)
	base := seed(t)
	before := bed.Counters()
	const packets = 20000
	bed.Parallel(workers, func(worker int) func() []byte {
		rnd := rand.New(rand.NewPCG(base, uint64(worker)))
		pool := stormFrames(rnd)
		n := 0
		return func() []byte {
			if n++; n > packets {
				return nil
			}
			if n%1000 == 0 {
				bed.SweepAll()
			}
			return pick(rnd, pool)
		}
	})
	check(t, bed)
	reasons := bed.Counters().Reasons
	for _, reason := range []string{"new_flow", "forwarded", "replied", "flow_unknown", "fragment_followed"} {
		if reasons[reason] == before.Reasons[reason] {
			t.Errorf("not one packet was %s", reason)
		}
	}
	if busy := reasons["table_busy"] - before.Reasons["table_busy"]; busy > workers*packets/100 {
		t.Errorf("%d of %d packets met a bucket that stayed locked", busy, workers*packets)
	}
	bed.Age(2 * time.Hour)
	bed.SweepAll()
	if flows := bed.Flows(); len(flows) != 0 {
		t.Errorf("%d flows left after all have expired", len(flows))
	}
	check(t, bed)
}

// stormFrames are frames of clients and nodes that keep meeting each other.
func stormFrames(rnd *rand.Rand) (frames [][]byte) {
	for range 600 {
		client, nat := 40000+rnd.IntN(6), 1536+rnd.IntN(2000)
		flags := pick(rnd, []string{"S", "S", "A", "FA", "R", "R"})
		frames = append(frames,
			packet.MustEncode(fmt.Sprintf("%sipv4 198.51.100.7 > %s\ntcp %d > 80 %s seq 1000 ack 5001", router, vip4, client, flags)),
			packet.MustEncode(fmt.Sprintf("%sipv6 2001:db8:c::7 > %s\ntcp %d > 80 %s seq 1000 ack 5001", router, vip6, client, flags)),
			packet.MustEncode(fmt.Sprintf("%sipv4 198.51.100.7 > %s\nudp %d > 53", router, vip4, client)),
			packet.MustEncode(fmt.Sprintf("%sipv4 %s > %s\ntcp 8080 > %d SA seq 5000", backend, node4, snat4, nat)),
			packet.MustEncode(fmt.Sprintf("%sipv6 %s > %s\ntcp 8080 > %d FA seq 5000", backend, node6, snat6, nat)),
			packet.MustEncode(fmt.Sprintf("%sipv4 198.51.100.7 > %s mf id %d\nudp %d > 53 length 40 sum 1\ndata 16*61", router, vip4, client, client)),
			packet.MustEncode(fmt.Sprintf("%sipv4 198.51.100.7 > %s id %d offset 3 protocol 17\ndata 16*61", router, vip4, client)),
			packet.MustEncode(fmt.Sprintf("%sipv6 2001:db8:c::7 > %s\nfragment id %d more\nudp %d > 53 length 40 sum 1\ndata 16*61", router, vip6, client, client)),
			packet.MustEncode(fmt.Sprintf("%sipv6 2001:db8:c::7 > %s\nfragment id %d offset 3 next 17\ndata 16*61", router, vip6, client)),
		)
	}
	return frames
}
