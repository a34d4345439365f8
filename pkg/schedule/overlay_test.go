package schedule

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// percents draws how much each of n members takes, of all that they may; somebody takes all.
func percents(t *rapid.T, n int) []int {
	out := make([]int, n)
	share := rapid.SampledFrom([]int{5, 50, 95}).Draw(t, "up")
	for i := range out {
		switch draw := rapid.IntRange(0, 99).Draw(t, "state"); {
		case draw < share-2:
			out[i] = 100
		case draw < share:
			out[i] = 10 * rapid.IntRange(1, 9).Draw(t, "ramp")
		}
	}
	out[rapid.IntRange(0, n-1).Draw(t, "one")] = 100
	return out
}

// TestE23ExactlyTheClientsOfWhoChangesMove takes any two states of the members, and looks at every slot.
func TestE23ExactlyTheClientsOfWhoChangesMove(t *testing.T) {
	tables := map[int]*Maglev{}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{2, 3, 7, 40, 150}).Draw(t, "members")
		m := tables[n]
		if m == nil {
			m = NewMaglev(membersOf(manyWeights(n)...))
			tables[n] = m
		}
		before, after := percents(t, n), percents(t, n)
		if rapid.Bool().Draw(t, "few changes") {
			after = slices.Clone(before)
			for range rapid.IntRange(1, 2).Draw(t, "changes") {
				after[rapid.IntRange(0, n-1).Draw(t, "who")] = rapid.SampledFrom([]int{0, 10, 50, 100}).Draw(t, "to")
			}
			if !slices.Contains(after, 100) {
				t.Skip("nobody takes all")
			}
		}
		from, to := m.Assign(before), m.Assign(after)
		for slot := range from {
			was, is := from[slot], to[slot]
			switch {
			case before[was] == 0 || after[is] == 0:
				t.Fatalf("slot %d goes to one that takes nothing", slot)
			case was != is && after[was] >= before[was] && after[is] <= before[is]:
				t.Fatalf("slot %d moves from %d (%d %% → %d %%) to %d (%d %% → %d %%)",
					slot, was, before[was], after[was], is, before[is], after[is])
			}
		}
	})
}

// TestE23WhoComesBackHasWhatItHad lets a member go away and come back while others do, too.
func TestE23WhoComesBackHasWhatItHad(t *testing.T) {
	m := NewMaglev(membersOf(manyWeights(20)...))
	state := slices.Repeat([]int{100}, 20)
	all := m.Assign(state)
	for _, order := range [][]int{{3, 7, 11}, {11, 3, 7}, {7, 11, 3}} {
		for _, who := range order {
			state[who] = 0
			m.Assign(state)
		}
		slices.Reverse(order)
		for _, who := range order {
			state[who] = 100
			m.Assign(state)
		}
		if !slices.Equal(m.Assign(state), all) || !slices.Equal(all, m.owner) {
			t.Fatal("not as before")
		}
	}
}

// TestE22ClientsComeBackOneByOne lets a member start slowly: what it has taken stays, and the part is right.
func TestE22ClientsComeBackOneByOne(t *testing.T) {
	m := NewMaglev(membersOf(50, 50, 50, 50))
	before := m.Assign([]int{0, 100, 100, 100})
	for percent := 10; percent <= 100; percent += 10 {
		now := m.Assign([]int{percent, 100, 100, 100})
		for slot := range now {
			if now[slot] != before[slot] && now[slot] != 0 {
				t.Fatalf("%d %%: slot %d moves from %d to %d", percent, slot, before[slot], now[slot])
			}
		}
		part := float64(owners(now, 4)[0]) / float64(owners(m.owner, 4)[0])
		if math.Abs(part-float64(percent)/100) > 0.03 {
			t.Errorf("%d %%: it has %.0f %% of its slots", percent, 100*part)
		}
		before = now
	}
	if !slices.Equal(before, m.owner) {
		t.Error("at 100 % not everything is as it was")
	}
	for _, alone := range [][]int{{40, 0, 0, 0}, {20, 0, 20, 0}} {
		if m.Assign(alone) == nil {
			t.Errorf("%v: nobody takes anything", alone)
		}
	}
}

// TestE3WhoRemainsSharesByWeight wants the slots of those who take nothing spread over the others by weight.
func TestE3WhoRemainsSharesByWeight(t *testing.T) {
	for _, c := range []struct {
		members, up int
		most        float64 // part of the slots that are with others than the weights say
	}{{10, 5, 0.02}, {200, 150, 0.02}, {1000, 700, 0.02}, {1000, 100, 0.02}, {1000, 30, 0.02}, {1000, 3, 0.05}} {
		members := membersOf(manyWeights(c.members)...)
		state, weight := make([]int, c.members), 0
		for i := range c.up {
			state[i*7%c.members] = 100
		}
		for i, p := range state {
			weight += members[i].Weight * p / 100
		}
		m := NewMaglev(members)
		off := 0.0
		for i, n := range owners(m.Assign(state), c.members) {
			want := float64(members[i].Weight) / float64(weight) * float64(state[i]) / 100
			off += math.Abs(float64(n)/float64(m.Slots())-want) / 2
		}
		t.Logf("%d of %d: %.2f %% of the slots are not where the weights say", c.up, c.members, 100*off)
		if off > c.most {
			t.Errorf("%d of %d: %.2f %% of the slots are not where the weights say", c.up, c.members, 100*off)
		}
	}
}

func BenchmarkAssign(b *testing.B) {
	const n = 10_000
	m := NewMaglev(membersOf(manyWeights(n)...))
	for _, down := range []int{1, 1000, 9000, 9990} {
		b.Run(fmt.Sprintf("%d of %d down", down, n), func(b *testing.B) {
			state := append(make([]int, down), slices.Repeat([]int{100}, n-down)...)
			for b.Loop() {
				m.Assign(state)
			}
		})
	}
}
