package netdev

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestHopsAreOfTheirMoment makes random changes: each Hops stays as it was, and says what has moved since another.
func TestHopsAreOfTheirMoment(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	type moment struct {
		hops Hops
		want map[netip.Addr]NextHop
	}
	var book hopBook
	now := map[netip.Addr]NextHop{}
	moments := []moment{{Hops{}, map[netip.Addr]NextHop{}}}
	for range 200 {
		for range rnd.IntN(20) {
			a := netip.AddrFrom4([4]byte{10, 0, byte(rnd.IntN(3)), byte(rnd.IntN(256))})
			if rnd.IntN(3) == 0 {
				book.drop(a)
				delete(now, a)
			} else {
				hop := NextHop{IfIndex: rnd.IntN(3)}
				book.set(a, hop)
				now[a] = hop
			}
		}
		moments = append(moments, moment{book.hops(), maps.Clone(now)})
	}
	for _, m := range moments {
		if got := maps.Collect(m.hops.All()); !maps.Equal(got, m.want) || m.hops.Len() != len(m.want) {
			t.Fatalf("%d hops, not the %d that there were", m.hops.Len(), len(m.want))
		}
		was := moments[rnd.IntN(len(moments))]
		moved := m.hops.Moved(was.hops)
		for i := range 3 * 256 {
			a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			hop, known := m.hops.To(a)
			old, before := was.hops.To(a)
			if want := known != before || hop != old; moved[a] != want {
				t.Fatalf("%s moved: %v, not %v", a, moved[a], want)
			}
		}
	}
}

// TestHopsShareWhatDidNotChange: the next Hops costs one part, however many addresses there are.
func TestHopsShareWhatDidNotChange(t *testing.T) {
	var book hopBook
	for i := range 10_000 {
		book.set(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), NextHop{IfIndex: 1})
	}
	before := book.hops()
	book.set(netip.MustParseAddr("10.0.3.7"), NextHop{IfIndex: 2})
	after, others := book.hops(), 0
	for i := range hopParts {
		if len(before.part(i)) > 100 {
			t.Errorf("%d addresses are in one part", len(before.part(i)))
		}
		if before.parts[i] != after.parts[i] {
			others++
		}
	}
	if others != 1 || len(after.Moved(before)) != 1 {
		t.Errorf("%d parts differ for one address", others)
	}
}
