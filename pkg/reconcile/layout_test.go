package reconcile

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/schedule"
)

// spread makes the world's balancer spread by an algorithm over nodes of these weights, named a, b, c …
func (w *world) spread(a lb.Algorithm, weights ...int) lb.Balancer {
	var names []string
	for i := range weights {
		names = append(names, string(rune('a'+i)))
	}
	b := w.balancer(lb.TCP, names...)
	b.Configs[0].Algorithm = a
	for i, weight := range weights {
		b.Configs[0].Nodes[i].Weight = weight
	}
	return b
}

// service returns the only service.
func (w *world) service() maps.ServiceState {
	w.t.Helper()
	services, err := w.tables.Reader().Services()
	if err != nil || len(services) != 1 {
		w.t.Fatalf("services: %v, %v; want one", services, err)
	}
	return services[0]
}

// counts is how often each node is in the only service's table.
func (w *world) counts() map[string]int {
	counts := map[string]int{}
	for _, name := range w.tableOf() {
		counts[string(name)]++
	}
	return counts
}

func TestEachAlgorithmHasItsTable(t *testing.T) {
	for algorithm, want := range map[lb.Algorithm]struct {
		of     maps.Algorithm
		length uint32
	}{
		lb.RoundRobin: {maps.Sequence, 10}, lb.LeastConn: {maps.LeastConn, 3}, lb.Source: {maps.Hash, 8191}, lb.RingHash: {maps.Hash, 8191},
	} {
		w := newWorld(t)
		w.desire(w.spread(algorithm, 50, 30, 20))
		w.apply()
		if s := w.service(); s.Word.Algorithm != want.of || s.Word.Length != want.length || s.Word.Limited {
			t.Errorf("%s: %+v", algorithm, s.Word)
		}
	}
}

func TestSequencesThatWouldBeTooLongAreDrawnByTickets(t *testing.T) {
	w := newWorld(t)
	weights := make([]int, 26)
	for i := range weights {
		weights[i] = 255 - i
	}
	w.desire(w.spread(lb.RoundRobin, weights...))
	w.apply()
	if s := w.service(); s.Word.Algorithm != maps.Tickets || s.Word.Length != 26 {
		t.Errorf("%+v", s.Word)
	}
}

// share adds up what a node has of the columns, in parts of all.
func (w *world) share(name string) float64 {
	w.t.Helper()
	s, id := w.service(), w.node(name).ID
	words, _, err := maps.ReadTable(w.tables, s.Word)
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, word := range words {
		c := maps.UnpackColumn(word)
		own := float64(c.Threshold) / (1 << 32)
		if c.Own == id {
			sum += own
		}
		if c.Alias == id {
			sum += 1 - own
		}
	}
	return sum / float64(len(words))
}

func TestColumnsGiveEachNodeItsWeight(t *testing.T) {
	w := newWorld(t)
	w.desire(w.spread(lb.LeastConn, 50, 30, 20))
	w.apply()
	for name, want := range map[string]float64{"a": 0.5, "b": 0.3, "c": 0.2} {
		if got := w.share(name); got < want-1e-6 || got > want+1e-6 {
			t.Errorf("%s: %f, want %f", name, got, want)
		}
		if got := w.node(name).Load.Weight; got != uint16(want*1000) {
			t.Errorf("%s: its flows are divided by %d, want %.0f", name, got, want*1000)
		}
	}
}

// TestE23HealthChangesOnlyTheSlotsOfItsNode compares the tables in the maps, which stay where they are.
func TestE23HealthChangesOnlyTheSlotsOfItsNode(t *testing.T) {
	w := newWorld(t)
	b := w.spread(lb.Source, 50, 30, 20, 40)
	b.Configs[0].Nodes[3].Mode = lb.Backup
	w.desire(b)
	w.apply()
	before, word := w.tableOf(), w.service().Word
	if strings.Contains(before, "d") {
		t.Fatal("a backup has slots while primaries are eligible")
	}
	for _, change := range []func(){
		func() { w.health("b", lb.Down) }, func() { w.mode("b", lb.Drain) }, func() { w.mode("b", lb.Backup) }, func() { w.mode("b", lb.Reject) },
	} {
		change()
		w.apply()
		now := w.tableOf()
		for slot := range now {
			if now[slot] == 'b' || before[slot] != 'b' && now[slot] != before[slot] {
				t.Fatalf("slot %d: %c → %c", slot, before[slot], now[slot])
			}
		}
		if w.service().Word != word {
			t.Fatalf("the table has moved from %+v to %+v", word, w.service().Word)
		}
		w.mode("b", lb.Accept)
		w.health("b", lb.Up)
		w.apply()
		if w.tableOf() != before {
			t.Fatal("not as before when b is back")
		}
	}
}

// TestE24OtherBalancersHaveTheSameTable makes it with other ids, another order of nodes and another past.
func TestE24OtherBalancersHaveTheSameTable(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	b := w.spread(lb.Source, 50, 30, 20)
	w.desire(b)
	w.apply()
	turned := lb.Clone([]lb.Balancer{b})[0]
	slices.Reverse(turned.Configs[0].Nodes)
	other.desire(other.balancer(lb.TCP, "z", "y"))
	other.apply()
	other.desire(turned)
	other.health("a", lb.Down)
	other.apply()
	other.health("a", lb.Up)
	other.apply()
	if w.tableOf() != other.tableOf() {
		t.Error("two balancers choose differently")
	}
	for i := range 100 {
		client := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		slot := schedule.SlotOf(client, int(w.service().Word.Length))
		if w.tableOf()[slot] != other.tableOf()[slot] {
			t.Errorf("client %s", client)
		}
	}
}

func TestE25LimitsGoToTheMapsWithTheListOfMembers(t *testing.T) {
	for _, a := range []lb.Algorithm{lb.RoundRobin, lb.LeastConn, lb.Source} {
		w := newWorld(t)
		b := w.spread(a, 50, 30, 20)
		b.Configs[0].Nodes[1].MaxConns = 7
		b.Configs[0].Nodes[2].Mode = lb.Drain
		w.desire(b)
		w.apply()
		s := w.service()
		_, members, err := maps.ReadTable(w.tables, s.Word)
		if err != nil || !s.Word.Limited || len(members) != 2 || members[0] != 1 {
			t.Fatalf("%s: %+v, members %x, %v", a, s.Word, members, err)
		}
		want := []uint32{w.node("a").ID, w.node("b").ID, w.node("c").ID, 0}
		if got := maps.UnpackNodes(members[1:]); !slices.Equal(got, want) {
			t.Errorf("%s: members %v, want %v", a, got, want)
		}
		if got := w.node("b").Load.MaxConns; got != 7 {
			t.Errorf("%s: max_conns %d", a, got)
		}
		b.Configs[0].Nodes[1].MaxConns = 0
		w.desire(b)
		w.apply()
		if s := w.service(); s.Word.Limited || w.node("b").Load.MaxConns != 0 {
			t.Errorf("%s: still limited: %+v", a, s.Word)
		}
	}
}

// TestE22SlowStartIsInTheTables looks at the tables of each algorithm while b has a part of its weight.
func TestE22SlowStartIsInTheTables(t *testing.T) {
	for _, a := range []lb.Algorithm{lb.RoundRobin, lb.LeastConn, lb.Source} {
		w := newWorld(t)
		b := w.spread(a, 50, 50)
		b.Configs[0].SlowStart = 9 * time.Second
		w.desire(b)
		w.apply()
		w.health("b", lb.Down)
		w.apply()
		w.health("b", lb.Up)
		for percent := 10; percent <= 100; percent += 10 {
			w.apply()
			part := float64(percent) / 100
			var got, want float64
			switch a {
			case lb.RoundRobin:
				got, want = float64(w.counts()["b"])/float64(w.counts()["a"]), part
			case lb.LeastConn:
				got, want = w.share("b")/w.share("a"), part
				if weight := w.node("b").Load.Weight; int(weight) != 5*percent || w.node("a").Load.Weight != 500 {
					t.Errorf("%d %%: flows are divided by %d", percent, weight)
				}
			default: // of its clients
				got, want = float64(w.counts()["b"])/float64(w.service().Word.Length), part/2
			}
			if got < want-0.02 || got > want+0.02 {
				t.Errorf("%s, %d %%: %.3f, want %.3f", a, percent, got, want)
			}
			w.clock.advance(time.Second)
			w.state.Advance()
		}
	}
}

func TestTenThousandNodesByHashAreOneTable(t *testing.T) {
	s, _, _ := largeOf(1, 10_000, lb.Source)
	tables := maps.NewFake(maps.FakeSizes{Nodes: 32768, Services: 16, Slots: 1 << 19})
	r := New(tables, Options{Now: time.Now})
	if _, err := r.Apply(s.View(), nil); err != nil {
		t.Fatal(err)
	}
	services, _ := tables.Reader().Services()
	ids, err := tableNodes(tables, services[0].Word)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[uint32]int{}
	for _, id := range ids {
		counts[id]++
	}
	if len(counts) != 10_000 {
		t.Errorf("%d nodes have slots", len(counts))
	}
	for id, n := range counts {
		if n < 100 {
			t.Fatalf("node %d has %d slots", id, n)
		}
	}
}
