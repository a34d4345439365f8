package schedule

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// membersOf makes members of these weights, each at an address of its own.
func membersOf(weights ...int) []Member {
	out := make([]Member, len(weights))
	for i, w := range weights {
		out[i] = Member{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 8080), w}
	}
	return out
}

// owners counts the slots of each member.
func owners(slots []uint16, members int) []int {
	counts := make([]int, members)
	for _, owner := range slots {
		counts[owner]++
	}
	return counts
}

// TestE24TheTableDependsOnTheSetAlone gives the same members in another order.
func TestE24TheTableDependsOnTheSetAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := membersOf(rapid.SliceOfN(rapid.IntRange(1, 255), 1, 90).Draw(t, "weights")...)
		if rapid.Bool().Draw(t, "six") {
			for i := range members {
				members[i].Address = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)), 443)
			}
		}
		shuffled := rapid.Permutation(members).Draw(t, "shuffled")
		a, b := NewMaglev(members), NewMaglev(shuffled)
		for slot := range a.owner {
			if members[a.owner[slot]] != shuffled[b.owner[slot]] {
				t.Fatalf("slot %d: %v and %v", slot, members[a.owner[slot]], shuffled[b.owner[slot]])
			}
		}
	})
}

// TestE24TheTableIsTheSameInEveryVersion has digests of tables that were made once. If they change, balancers of
// different versions send a client to different nodes.
func TestE24TheTableIsTheSameInEveryVersion(t *testing.T) {
	digest := func(slots []uint16) string {
		h := fnv.New64a()
		for _, owner := range slots {
			h.Write([]byte{byte(owner), byte(owner >> 8)})
		}
		return fmt.Sprintf("%d slots %016x", len(slots), h.Sum64())
	}
	three, thousands := NewMaglev(membersOf(5, 3, 2)), NewMaglev(membersOf(manyWeights(10_000)...))
	for what, c := range map[string]struct{ got, want string }{
		"three nodes":             {digest(three.owner), "8191 slots d57616cfbad05fa4"},
		"one of them down":        {digest(three.Assign([]int{100, 0, 100})), "8191 slots 7414b0dd4b3fd94d"},
		"one of them starting":    {digest(three.Assign([]int{100, 30, 100})), "8191 slots 646f0f303168f854"},
		"200 nodes":               {digest(NewMaglev(membersOf(manyWeights(200)...)).owner), "32749 slots ba61b7627709d146"},
		"200 nodes, most down":    {digest(NewMaglev(membersOf(manyWeights(200)...)).Assign(append(make([]int, 197), 100, 100, 20))), "32749 slots 38780397566f1130"},
		"10,000 nodes":            {digest(thousands.owner), "1048573 slots 514f8ad9f987ce0d"},
		"10,000 nodes, most down": {digest(thousands.Assign(firstDown(10_000, 9_000))), "1048573 slots d6716476fa87acbf"},
		"10,000 nodes, ten up":    {digest(thousands.Assign(firstDown(10_000, 9_990))), "1048573 slots 2fc7dc3b564e1279"},
		"3,000 nodes, some down":  {digest(NewMaglev(membersOf(manyWeights(3000)...)).Assign(firstDown(3000, 700))), "524287 slots 4a208bbdb1eba37d"},
		"clients of IPv4 and v6":  {fmt.Sprint(SlotOf(netip.MustParseAddr("198.51.100.7"), 8191), SlotOf(netip.MustParseAddr("2001:db8:c::7"), 8191)), "8090 4162"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", what, c.got, c.want)
		}
	}
}

// firstDown are members of whom the first take nothing, some are starting, and the last takes everything.
func firstDown(members, down int) []int {
	out := make([]int, members)
	for i := range out {
		switch {
		case i%7 == 3 && i >= down:
			out[i] = 10 + i%9*10
		case i >= down:
			out[i] = 100
		}
	}
	out[members-1] = 100
	return out
}

// TestEverybodyHasSlotsByWeight wants each member's part of the slots, to a slot, and at least one.
func TestEverybodyHasSlotsByWeight(t *testing.T) {
	check := func(t failer, weights []int) {
		m := NewMaglev(membersOf(weights...))
		if m.Slots() < slotsPerMember*len(weights) {
			t.Fatalf("%d slots for %d members", m.Slots(), len(weights))
		}
		total := 0
		for _, w := range weights {
			total += w
		}
		short := 0 // what those have too much who would have less than one
		for _, w := range weights {
			if m.Slots()*w < total {
				short++
			}
		}
		for i, n := range owners(m.owner, len(weights)) {
			low := m.Slots() * weights[i] / total
			if n < 1 || n > low+1 && n > 1 || n < low-short {
				t.Fatalf("weight %d of %d has %d of %d slots", weights[i], total, n, m.Slots())
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.SliceOfN(rapid.IntRange(1, 255), 1, 100).Draw(t, "weights"))
	})
	check(t, []int{1, 255})
	check(t, manyWeights(10_000))
	check(t, append(slices.Repeat([]int{255}, 9_000), slices.Repeat([]int{1}, 1_000)...))
}

func TestTableSizesArePrimeAndLargeEnough(t *testing.T) {
	for _, size := range tableSizes {
		for i := 2; i*i <= size; i++ {
			if size%i == 0 {
				t.Errorf("%d is %d times %d", size, i, size/i)
			}
		}
	}
	last := tableSizes[len(tableSizes)-1]
	if last/slotsPerMember < 32768 || last >= 1<<24 {
		t.Errorf("the largest table has %d slots: too few for the nodes there may be, or more than a service's word can say", last)
	}
}

// TestE23AnotherSetMovesLittle says how much moves beside what has to when a member comes or goes: as much when it
// comes as when it goes, because a table does not depend on those before.
func TestE23AnotherSetMovesLittle(t *testing.T) {
	for _, n := range []int{2, 3, 10, 50, 81, 300, 1000, 10_000} {
		if testing.Short() && n > 1000 {
			continue
		}
		members := membersOf(manyWeights(n)...)
		m, gone := NewMaglev(members), n/2
		fewer := NewMaglev(slices.Delete(slices.Clone(members), gone, gone+1))
		if fewer.Slots() != m.Slots() {
			t.Fatalf("%d members and one less have different tables", n)
		}
		moved := 0
		for slot, owner := range m.owner {
			now := fewer.owner[slot]
			if int(now) >= gone {
				now++
			}
			if int(owner) != gone && owner != now {
				moved++
			}
		}
		share := float64(moved) / float64(m.Slots())
		t.Logf("%d members: %.2f %% of the slots move beside those of one that leaves", n, 100*share)
		if share > 0.025 {
			t.Errorf("%d members: %.2f %% of the slots of others move", n, 100*share)
		}
	}
}

// TestE23AWeightMovesLittle halves the weight of one member.
func TestE23AWeightMovesLittle(t *testing.T) {
	for _, n := range []int{3, 10, 81, 1000} {
		members := membersOf(slices.Repeat([]int{50}, n)...)
		m := NewMaglev(members)
		members[0].Weight = 25
		lighter, moved := NewMaglev(members), 0
		for slot, owner := range m.owner {
			if owner != lighter.owner[slot] {
				moved++
			}
		}
		must := m.Slots()/n - m.Slots()/(2*n-1)
		if extra := float64(moved-must) / float64(m.Slots()); extra > 0.02 {
			t.Errorf("%d members: %d slots move, %d have to: %.2f %% more", n, moved, must, 100*extra)
		}
	}
}

func TestMovedComparesTablesOfAnySize(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     float64
	}{{"abcd", "abcd", 0}, {"abcd", "abca", 0.25}, {"ab", "aabb", 0}, {"aabb", "ab", 0}, {"ab", "abab", 0.5}, {"", "ab", 0}} {
		if got := Moved([]byte(c.from), []byte(c.to)); got != c.want {
			t.Errorf("%s → %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

func TestNobodyMakesNoTable(t *testing.T) {
	if m := NewMaglev(nil); m.Slots() != 0 || m.Assign(nil) != nil {
		t.Error("a table of nobody")
	}
}

// TestClientsAreSpreadEvenly hashes neighbours, as clients are, and random ones.
func TestClientsAreSpreadEvenly(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, client := range map[string]func(i int) netip.Addr{
		"neighbours":      func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) },
		"one per network": func(i int) netip.Addr { return netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}) },
		"IPv6 hosts": func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 13: byte(i >> 16), byte(i >> 8), byte(i)})
		},
		"IPv6 networks": func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 16), byte(i >> 8), byte(i), 15: 1})
		},
		"random": func(int) netip.Addr {
			var a [4]byte
			for i := range a {
				a[i] = byte(rnd.Uint32())
			}
			return netip.AddrFrom4(a)
		},
	} {
		const clients, slots = 1 << 17, 1021
		counts := make([]int, slots)
		for i := range clients {
			counts[SlotOf(client(i), slots)]++
		}
		square, want := 0.0, float64(clients)/slots
		for _, n := range counts {
			square += (float64(n) - want) * (float64(n) - want) / want
		}
		if square > slots+200 || square < slots-200 { // beyond four standard deviations
			t.Errorf("%s: χ² is %.0f over %d slots", name, square, slots)
		}
	}
}

func BenchmarkMaglev(b *testing.B) {
	for _, n := range []int{3, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			members := membersOf(manyWeights(n)...)
			for b.Loop() {
				NewMaglev(members)
			}
		})
	}
}
