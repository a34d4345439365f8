package schedule

import (
	"math"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// manyWeights are some thousands of them, each other than its neighbours.
func manyWeights(n int) []int {
	w := make([]int, n)
	for i := range w {
		w[i] = 1 + i*7919%255
	}
	return w
}

// TestAliasGivesEverybodyItsShare adds up what each has of the columns: exact but for the last bit of a threshold.
func TestAliasGivesEverybodyItsShare(t *testing.T) {
	check := func(t failer, weights []int) {
		columns := Alias(weights)
		if len(columns) != len(weights) {
			t.Fatalf("%d columns for %d weights", len(columns), len(weights))
		}
		have := make([]float64, len(weights)) // in columns
		total := 0
		for i, c := range columns {
			own := float64(c.Threshold) / (1 << 32)
			have[i] += own
			have[c.Alias] += 1 - own
			total += weights[i]
		}
		for i, w := range weights {
			want := float64(w) * float64(len(weights)) / float64(total)
			if math.Abs(have[i]-want) > 1e-6 {
				t.Fatalf("weight %d of %d among %d: %f columns, want %f", w, total, len(weights), have[i], want)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.SliceOfN(rapid.IntRange(1, 2550), 0, 300).Draw(t, "weights"))
	})
	check(t, manyWeights(10_000))
	check(t, append(slices.Repeat([]int{1}, 9_999), 255))
}

// TestTicketsAreNeverFarFromTheShares draws as the data path does, and looks after each ticket how far its node is
// from what its weight promises. Random draws would be a hundred flows off at the end of this.
func TestTicketsAreNeverFarFromTheShares(t *testing.T) {
	const most = 8.0
	for name, weights := range map[string][]int{
		"255 to 1":                         {255, 1},
		"twenty of almost the same weight": {255, 254, 253, 252, 251, 250, 249, 248, 247, 246, 245, 244, 243, 242, 241, 240, 239, 238, 237, 236},
		"10,000 equal":                     slices.Repeat([]int{50}, 10_000),
		"10,000 mixed":                     manyWeights(10_000),
		"one heavy among light ones":       append(slices.Repeat([]int{1}, 5_000), 255),
	} {
		t.Run(name, func(t *testing.T) {
			columns, total := Alias(weights), 0
			for _, w := range weights {
				total += w
			}
			counts, worst := make([]int, len(weights)), 0.0
			for ticket := range uint64(max(200_000, 20*len(weights))) {
				column, fraction := bits.Mul64(ticket*golden, uint64(len(columns)))
				node := int32(column)
				if uint32(fraction>>32) >= columns[column].Threshold {
					node = columns[column].Alias
				}
				counts[node]++
				worst = max(worst, math.Abs(float64(counts[node])-float64(ticket+1)*float64(weights[node])/float64(total)))
			}
			t.Logf("at most %.2f flows from a node's share", worst)
			if worst > most {
				t.Errorf("%.2f flows from a node's share, want at most %.0f", worst, most)
			}
		})
	}
}

func BenchmarkAlias(b *testing.B) {
	weights := manyWeights(10_000)
	for b.Loop() {
		Alias(weights)
	}
}
