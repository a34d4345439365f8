package loader_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
)

const (
	// stormPackets is how many packets each CPU runs before the table is looked at.
	stormPackets = 1 << 18
	// stormHZ has a minute of the program pass in a second, or less if the kernel's clock is finer than usual: flows
	// expire all the time, and a storm of a minute is as long as an hour.
	stormHZ = 4
	// stormVar sets how long the storm lasts.
	stormVar, stormTime = "HEADGATE_STORM_TIME", 5 * time.Second
)

// TestStormOnAllCPUsLeavesATableWithoutFaults lets all CPUs open, establish, close, reset, expire, sweep and
// evict the same flows, by live frames on a queue each, while the nodes' status, deadlines and tables change: in
// tables that are much too small, a little, and not at all. `make storm` makes it a minute.
func TestStormOnAllCPUsLeavesATableWithoutFaults(t *testing.T) {
	base, limit := seed(t), durationOf(t, stormVar, stormTime)
	seen := map[string]uint64{}
	for i, buckets := range []uint32{4, 64, 4096} {
		storm(t, buckets, rand.New(rand.NewPCG(base, uint64(i))), limit/3, seen)
	}
	var all uint64
	for _, n := range seen {
		all += n
	}
	t.Logf("%d packets: %v", all, seen)
	for _, reason := range []string{
		"new_flow", "forwarded", "replied", "flow_unknown", "node_down", "deadline", "reset_client", "no_backend", "fragment_followed",
	} {
		if seen[reason] == 0 {
			t.Errorf("not one packet was %s: the test proves less than it says", reason)
		}
	}
	if busy := seen["table_busy"]; busy > all/100 {
		t.Errorf("%d of %d packets met a bucket that stayed locked", busy, all)
	}
}

// storm runs rounds of packets for so long in tables of so many buckets, with a look at them after each, and adds
// to the packets seen by reason.
func storm(t *testing.T, buckets uint32, rnd *rand.Rand, limit time.Duration, seen map[string]uint64) {
	t.Helper()
	bed := dptest.Open(t, dptest.Options{Buckets4: buckets, Buckets6: buckets, HZ: stormHZ})
	fill(bed)
	calm, wild := stormKinds(false), stormKinds(true)
	generator := bed.NewGenerator(append(calm, wild...)...)
	before, began, begin := bed.Reasons(), bed.Counters(), time.Now()
	for rounds := 0; rounds < 4 || time.Since(begin) < limit; rounds++ {
		round, first := rnd.Uint64(), uint32(len(calm)*rnd.IntN(2))
		meanwhile(func() { generator.Storm(first, uint32(len(calm)), round, stormPackets) }, func() { disturb(bed, rnd) })
		if check(t, bed); t.Failed() {
			t.Fatalf("%d buckets, round %d", buckets, rounds)
		}
	}
	bed.Age(2 * time.Hour)
	bed.SweepAll()
	if flows := bed.Flows(); len(flows) != 0 {
		t.Errorf("%d buckets: %d flows left after all have expired", buckets, len(flows))
	}
	check(t, bed)
	checkEnds(t, began, bed.Counters())
	for reason, n := range bed.Reasons() {
		if n > before[reason] {
			seen[reason] += n - before[reason]
		}
	}
}

// checkEnds compares how flows began and ended, between two moments at which there were none. A flow whose slot changes
// hands before its first packet has left is not counted for its node; that packet is table_busy.
func checkEnds(t *testing.T, before, after dptest.Counters) {
	t.Helper()
	var made, removed, closed, rested uint64
	for id := range after.Stats {
		made += after.Stats[id].Flows - before.Stats[id].Flows
	}
	for end, n := range after.Ends {
		n -= before.Ends[end]
		switch {
		case strings.HasPrefix(end, "closed"):
			closed += n
		case strings.Contains(end, "closing"):
			rested += n
			fallthrough
		default:
			removed += n
		}
	}
	busy := after.Reasons["table_busy"] - before.Reasons["table_busy"]
	if closed != rested {
		t.Errorf("%d flows were closed, but %d left after that", closed, rested)
	}
	if removed < made || removed > made+busy {
		t.Errorf("%d flows were made and %d left; %d packets were table_busy", made, removed, busy)
	}
}

// stormKinds are packets of clients and nodes that keep meeting each other; wild ones end their connections, too.
func stormKinds(wild bool) []dptest.Kind {
	const syn, ack, psh, fin, rst = uint8(packet.SYN), uint8(packet.ACK), uint8(packet.PSH), uint8(packet.FIN), uint8(packet.RST)
	client, node := []uint8{syn, ack, psh | ack}, []uint8{syn | ack, syn | ack, ack, psh | ack}
	if wild {
		client, node = append(client, syn, syn, ack, ack, fin|ack, rst), append(node, fin|ack, rst|ack)
	}
	frame := func(format string, args ...any) []byte { return packet.MustEncode(fmt.Sprintf(format, args...)) }
	return []dptest.Kind{
		{Frame: frame("%sipv4 198.51.0.0 > %s\ntcp 1 > 80 S seq 1000 ack 5001", router, vip4), Flags: client, First: 40000, Ports: 40, Clients: 8},
		{Frame: frame("%sipv6 2001:db8:c:: > %s\ntcp 1 > 80 S seq 1000 ack 5001", router, vip6), Flags: client, First: 40000, Ports: 40, Clients: 8},
		{Frame: frame("%sipv4 198.51.0.0 > %s\nudp 1 > 53", router, vip4), First: 40000, Ports: 40, Clients: 8},
		{Frame: frame("%sipv4 198.51.0.0 > %s mf id 7\nudp 1 > 53 length 40 sum 1\ndata 16*61", router, vip4), First: 40000, Ports: 40, Clients: 8},
		{Frame: frame("%sipv4 198.51.0.0 > %s id 7 offset 3 protocol 17\ndata 16*61", router, vip4), Clients: 8, Fixed: true},
		{Frame: frame("%sipv6 2001:db8:c:: > %s\nfragment id 7 more\nudp 40007 > 53 length 40 sum 1\ndata 16*61", router, vip6), Clients: 8, Fixed: true},
		{Frame: frame("%sipv6 2001:db8:c:: > %s\nfragment id 7 offset 3 next 17\ndata 16*61", router, vip6), Clients: 8, Fixed: true},
		{Frame: frame("%sipv4 %s > %s\ntcp 8080 > 1 SA seq 5000 ack 1001", backend, node4, snat4), Flags: node, Ports: 200, ToNAT: true, Node: 1},
		{Frame: frame("%sipv6 %s > %s\ntcp 8080 > 1 SA seq 5000 ack 1001", backend, node6, snat6), Flags: node, Ports: 200, ToNAT: true, Node: 3},
		{Frame: frame("%sipv4 %s > %s\nudp 5353 > 1", backend, node4, snat4), Ports: 200, ToNAT: true, Node: 2},
	}
}

// meanwhile does one thing over and over until another one has ended.
func meanwhile(main, other func()) {
	var wait sync.WaitGroup
	done := make(chan struct{})
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				other()
			}
		}
	})
	main()
	close(done)
	wait.Wait()
}

// disturb does what a daemon does while packets come: it sweeps, and changes what the nodes are.
func disturb(bed *dptest.Bed, rnd *rand.Rand) {
	id := uint32(1 + rnd.IntN(len(plain)))
	switch rnd.IntN(4) {
	case 0, 1:
		bed.SweepAll()
	case 2:
		bed.SetStatus(id, loader.NodeStatus{Lifecycle: 1, Actions: pick(rnd, []uint8{
			dptest.ActionNew, dptest.ActionNew, dptest.ActionNew, 0, dptest.ActionDead, dptest.ActionDead | dptest.ActionResetTCP,
		})})
	case 3:
		bed.SetDeadline(id, time.Duration(rnd.IntN(5)-2)*10*time.Millisecond)
	}
	if rnd.IntN(20) == 0 {
		s := plainService(id)
		s.Slots = nil
		bed.SetService(s)
		bed.SweepAll()
		bed.SetService(plainService(id))
	}
}
