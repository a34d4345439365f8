package loader_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/headgate/headgate/loader/dptest"
	"github.com/headgate/headgate/pkg/packet"
	"github.com/headgate/headgate/pkg/schedule"
)

// spread is a Bed with one service of TCP over IPv4 or IPv6, whose nodes have the ids 1, 2, 3 …
type spread struct {
	t       *testing.T
	bed     *dptest.Bed
	v6      bool
	nodes   []dptest.Node
	members []schedule.Member
	ports   map[netip.Addr]int
}

func newSpread(t *testing.T, options dptest.Options, v6 bool, weights ...int) *spread {
	t.Helper()
	s := &spread{t: t, bed: dptest.Open(t, options), v6: v6, ports: map[netip.Addr]int{}}
	s.bed.SetLink(2, dptest.Front, packet.MAC{2, 0, 0, 0, 0, 2})
	s.bed.SetLink(3, dptest.Back, packet.MAC{2, 0, 0, 0, 0, 3})
	s.bed.SetSNAT(0, netip.MustParseAddr(snat4))
	s.bed.SetSNAT(1, netip.MustParseAddr(snat6))
	for i, weight := range weights {
		n := dptest.Node{
			ID: uint32(i + 1), Proto: packet.ProtoTCP, Address: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:80", i+11)),
			Hop: dptest.Hop{Link: 3, MAC: packet.MAC{2, 1}}, Actions: dptest.ActionNew, SNATCount: 1, Weight: uint16(weight),
		}
		if v6 {
			n.Address, n.SNATFirst = netip.MustParseAddrPort(fmt.Sprintf("[2001:db8:b::%x]:80", i+11)), 1
		}
		s.bed.SetNode(n)
		s.nodes = append(s.nodes, n)
		s.members = append(s.members, schedule.Member{Address: n.Address, Weight: weight})
	}
	return s
}

// table gives the service its scheduling table.
func (s *spread) table(of dptest.Service) {
	of.ID, of.Proto, of.VIP = 1, packet.ProtoTCP, netip.MustParseAddrPort(vip4+":80")
	if s.v6 {
		of.VIP = netip.MustParseAddrPort("[" + vip6 + "]:80")
	}
	s.bed.SetService(of)
}

// columns makes an alias table of all nodes.
func (s *spread) columns(a dptest.Algorithm) dptest.Service {
	var weights []int
	for _, m := range s.members {
		weights = append(weights, m.Weight)
	}
	of := dptest.Service{Algorithm: a}
	for i, c := range schedule.Alias(weights) {
		of.Columns = append(of.Columns, dptest.Column{Threshold: c.Threshold, Own: uint32(i + 1), Alias: uint32(c.Alias + 1)})
	}
	return of
}

// slots makes a table by hash of slots' owners.
func slotsOf(owners []uint16) dptest.Service {
	of := dptest.Service{Algorithm: dptest.Hash}
	for _, owner := range owners {
		of.Slots = append(of.Slots, uint32(owner+1))
	}
	return of
}

// open sends a SYN of a client from a port that it has not used, and answers the id of the node that gets it; 0
// when the client is refused.
func (s *spread) open(client netip.Addr) uint32 {
	s.t.Helper()
	s.ports[client]++
	p := packet.Packet{
		&packet.Ethernet{Src: packet.MAC{2, 0, 0, 0, 2, 1}, Dst: packet.MAC{2, 0, 0, 0, 0, 2}},
		&packet.IPv4{Src: client, Dst: netip.MustParseAddr(vip4), TTL: 64},
		&packet.TCP{Src: uint16(20000 + s.ports[client]), Dst: 80, Flags: packet.SYN, Seq: 1000},
	}
	if s.v6 {
		p[1] = &packet.IPv6{Src: client, Dst: netip.MustParseAddr(vip6), HopLimit: 64}
	}
	frame, err := p.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	_, out := s.bed.Run(dptest.Front, frame, false)
	to := netip.Addr{}
	if ip := packet.Find[*packet.IPv4](packet.Decode(out)); ip != nil {
		to = ip.Dst
	}
	if ip := packet.Find[*packet.IPv6](packet.Decode(out)); ip != nil {
		to = ip.Dst
	}
	for _, n := range s.nodes {
		if n.Address.Addr() == to {
			return n.ID
		}
	}
	return 0
}

// client is the i-th of many.
func (s *spread) client(i int) netip.Addr {
	if s.v6 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 0, 0x0c, 13: byte(i >> 16), byte(i >> 8), byte(i)})
	}
	return netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
}

const hashWords = 2048 // of 8,191 slots

// TestE23ProgramMovesExactlyTheClientsOfWhoChanges asks the program for the node of two thousand clients, before and
// after nodes change, and for other flows of the same clients.
func TestE23ProgramMovesExactlyTheClientsOfWhoChanges(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		s := newSpread(t, dptest.Options{Buckets4: 4096, Buckets6: 4096, Words: hashWords}, v6, 50, 30, 20, 100, 1)
		m := schedule.NewMaglev(s.members)
		all := []int{100, 100, 100, 100, 100}
		const clients = 2000
		choose := func(percent []int) (chosen [clients]uint32) {
			owners := m.Assign(percent)
			s.table(slotsOf(owners))
			for i := range chosen {
				client := s.client(i)
				chosen[i] = s.open(client)
				if want := uint32(owners[schedule.SlotOf(client, m.Slots())] + 1); chosen[i] != want {
					t.Fatalf("client %s goes to node %d, want %d", client, chosen[i], want)
				}
			}
			return chosen
		}
		before := choose(all)
		for _, now := range [][]int{{100, 0, 100, 100, 100}, {100, 0, 100, 0, 100}, {100, 100, 100, 0, 100}, {100, 100, 100, 30, 100}, all} {
			moved := 0
			for i, node := range choose(now) {
				if node != before[i] {
					moved++
				}
				if node != before[i] && now[before[i]-1] == 100 || now[node-1] == 0 {
					t.Fatalf("%v: client %d moves from node %d to %d", now, i, before[i], node)
				}
			}
			t.Logf("%v: %d of %d clients are elsewhere than with all nodes", now, moved, clients)
		}
	}
}

// TestE24BalancersWithOtherSecretsChooseTheSameNode has two programs whose flow tables hash differently.
func TestE24BalancersWithOtherSecretsChooseTheSameNode(t *testing.T) {
	a := newSpread(t, dptest.Options{Buckets4: 1024, Words: hashWords}, false, 50, 30, 20)
	b := newSpread(t, dptest.Options{Buckets4: 1024, Words: hashWords, Secret: 0xd1342543de82ef95}, false, 50, 30, 20)
	for _, s := range []*spread{a, b} {
		s.table(slotsOf(schedule.NewMaglev(s.members).Assign([]int{100, 100, 100})))
	}
	for i := range 500 {
		if x, y := a.open(a.client(i)), b.open(b.client(i)); x != y || x == 0 {
			t.Fatalf("client %d goes to node %d here and to %d there", i, x, y)
		}
	}
}

// TestLeastConnKeepsNodesAlike opens flows that stay, and compares what nodes have for their weight. Two choices
// keep the worst near the mean; random ones would be some ten standard deviations further off.
func TestLeastConnKeepsNodesAlike(t *testing.T) {
	weights := slices.Concat(slices.Repeat([]int{10}, 10), slices.Repeat([]int{30}, 10))
	s := newSpread(t, dptest.Options{Buckets4: 4096}, false, weights...)
	s.table(s.columns(dptest.LeastConn))
	const flows = 4000
	counts := make([]int, len(weights))
	for i := range flows {
		counts[s.open(s.client(i))-1]++
	}
	worst := 0.0
	for i, n := range counts {
		want := float64(flows) * float64(weights[i]) / 400
		worst = max(worst, math.Abs(float64(n)/want-1))
	}
	t.Logf("%v: %.1f %% from a fair load", counts, 100*worst)
	if worst > 0.05 {
		t.Errorf("%v: %.1f %% from a fair load", counts, 100*worst)
	}
}

// TestLeastConnDoesNotHerd brings one node back empty while the others have many flows: a look at all nodes would
// send it every new flow.
func TestLeastConnDoesNotHerd(t *testing.T) {
	s := newSpread(t, dptest.Options{Buckets4: 4096}, false, slices.Repeat([]int{10}, 20)...)
	full := s.columns(dptest.LeastConn)
	without := full
	without.Columns = slices.Clone(full.Columns[:19])
	for i := range without.Columns {
		without.Columns[i] = dptest.Column{Own: uint32(i + 1), Alias: uint32(i + 1)}
	}
	s.table(without)
	for i := range 19 * 100 {
		s.open(s.client(i))
	}
	s.table(full)
	const flows = 600
	got := 0
	for i := range flows {
		if s.open(s.client(10000+i)) == 20 {
			got++
		}
	}
	t.Logf("the empty node gets %d of %d flows, a fair share is %d", got, flows, flows/20)
	if got < flows/20 || got > 3*flows/20 {
		t.Errorf("the empty node gets %d of %d flows, a fair share is %d", got, flows, flows/20)
	}
}

// TestTicketsGiveSharesByWeight runs the table of columns through the program.
func TestTicketsGiveSharesByWeight(t *testing.T) {
	weights := []int{255, 254, 7, 1, 100, 99, 98, 3}
	s := newSpread(t, dptest.Options{Buckets4: 4096}, false, weights...)
	s.table(s.columns(dptest.Tickets))
	total := 0
	for _, w := range weights {
		total += w
	}
	const flows = 3000
	counts := make([]int, len(weights))
	for i := range flows {
		counts[s.open(s.client(i))-1]++
	}
	for i, n := range counts {
		if want := float64(flows) * float64(weights[i]) / float64(total); math.Abs(float64(n)-want) > 8 {
			t.Errorf("weight %d of %d: %d of %d flows, want %.1f", weights[i], total, n, flows, want)
		}
	}
}

// TestE25FullNodesShareWithTheOthers fills nodes by each algorithm: what the full ones do not take the others share,
// everybody gets in while there is room anywhere, and nobody afterwards.
func TestE25FullNodesShareWithTheOthers(t *testing.T) {
	for name, a := range map[string]dptest.Algorithm{
		"sequence": dptest.Sequence, "leastconn": dptest.LeastConn, "hash": dptest.Hash, "tickets": dptest.Tickets,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpread(t, dptest.Options{Buckets4: 1024, Words: hashWords}, false, 40, 20, 20)
			var of dptest.Service
			switch a {
			case dptest.Sequence:
				for _, which := range schedule.Smooth([]int{40, 20, 20}) {
					of.Slots = append(of.Slots, uint32(which+1))
				}
			case dptest.Hash:
				of = slotsOf(schedule.NewMaglev(s.members).Assign([]int{100, 100, 100}))
			default:
				of = s.columns(a)
			}
			of.Members = []uint32{1, 2, 3}
			s.table(of)
			limits := []uint32{20, 200, 90}
			for i := range s.nodes {
				s.nodes[i].MaxConns = limits[i]
				s.bed.SetNode(s.nodes[i])
			}
			counts := make([]uint32, 4)
			for i := range 150 {
				counts[s.open(s.client(i))]++
			}
			// Node 1 is full with its 20; the others have the same weight, and share the 130 that are left.
			if counts[0] != 0 || counts[1] != 20 || counts[2] < 50 || counts[3] < 50 {
				t.Errorf("the first 150: %v", counts)
			}
			for i := range 160 {
				counts[s.open(s.client(1000+i))]++
			}
			if counts[0] != 0 || !slices.Equal(counts[1:], limits) {
				t.Errorf("310 flows, for which there is room: %v, want %v", counts, limits)
			}
			for i := range 10 {
				if node := s.open(s.client(5000 + i)); node != 0 {
					t.Errorf("node %d takes a flow more", node)
				}
			}
		})
	}
}

// TestE25NoMoreThanOneFlowForEachCPU lets several CPUs fill one node at the same time.
func TestE25NoMoreThanOneFlowForEachCPU(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 4096})
	fill(bed)
	const most = 500
	n := dptest.Node{
		ID: 1, Proto: packet.ProtoTCP, Address: netip.MustParseAddrPort(node4 + ":8080"), Hop: dptest.Hop{Link: 3, MAC: packet.MAC{2}},
		Actions: dptest.ActionNew, SNATCount: 1, MaxConns: most,
	}
	bed.SetNode(n)
	bed.SetService(dptest.Service{
		ID: 1, Proto: packet.ProtoTCP, VIP: netip.MustParseAddrPort(vip4 + ":80"), Slots: []uint32{1}, Members: []uint32{1},
	})
	bed.Parallel(workers, func(worker int) func() []byte {
		i := 0
		return func() []byte {
			if i++; i > most {
				return nil
			}
			return syn4(fmt.Sprintf("198.51.%d.%d", worker, i%250), 40000+i/250)
		}
	})
	if active := bed.Live(1).Active; active < most || active > most+workers-1 {
		t.Errorf("%d flows, want %d, and at most one more for each of %d CPUs but one", active, most, workers)
	}
	check(t, bed)
}
