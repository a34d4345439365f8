package schedule

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFiveThreeTwoOverTenConnections(t *testing.T) {
	got := Smooth([]int{5, 3, 2})
	if diff := cmp.Diff([]int32{0, 1, 2, 0, 0, 1, 0, 2, 1, 0}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheTextbookOrder(t *testing.T) {
	for _, tt := range []struct {
		weights []int
		want    []int32
	}{
		{[]int{5, 1, 1}, []int32{0, 0, 1, 0, 2, 0, 0}}, // the example of nginx's commit message
		{[]int{4, 3, 2}, []int32{0, 1, 2, 0, 1, 0, 2, 1, 0}},
		{[]int{50, 30, 20}, []int32{0, 1, 2, 0, 0, 1, 0, 2, 1, 0}}, // as 5, 3, 2
		{[]int{7, 7, 7}, []int32{0, 1, 2}},
		{[]int{255}, []int32{0}},
		{[]int{0, 9, -1}, []int32{1}}, // without weight, no place
		{[]int{0}, nil},
		{nil, nil},
	} {
		if diff := cmp.Diff(tt.want, Smooth(tt.weights)); diff != "" {
			t.Errorf("%v: %s", tt.weights, diff)
		}
	}
}

func TestEverybodyGetsExactlyItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 255), 0, 120).Draw(t, "weights")
		checkShares(t, weights, Smooth(weights))
	})
}

// TestBothWaysGiveExactShares runs the two algorithms on the same weights, also where Smooth would
// choose only one.
func TestBothWaysGiveExactShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 40).Draw(t, "weights")
		shares, total := reduce(weights)
		checkShares(t, weights, textbook(shares, total))
		seq := byDeadline(shares, total)
		checkShares(t, weights, seq)
		checkSmooth(t, weights, seq)
	})
}

func TestLongSequencesAreExactAndSmooth(t *testing.T) {
	ones := slices.Repeat([]int{1}, 5_000)
	for name, weights := range map[string][]int{
		"one heavy among thousands of light": append([]int{255}, ones...),
		"heavy ones at both ends":            append(append([]int{255, 255}, ones...), 255),
		"two weights":                        append(slices.Repeat([]int{255}, 20), slices.Repeat([]int{254}, 20)...),
		"all weights":                        countTo(255),
		"primes":                             []int{251, 241, 239, 233, 229, 227, 223, 211, 199, 197, 193, 191, 181, 179, 173, 167, 163, 157, 151, 149, 139, 137, 131, 127},
	} {
		t.Run(name, func(t *testing.T) {
			seq := Smooth(weights)
			if len(seq) <= textbookMost {
				t.Fatalf("%d places: not a long sequence", len(seq))
			}
			checkShares(t, weights, seq)
			checkSmooth(t, weights, seq)
		})
	}
}

// TestTheSeamIsSmooth compares both sides of the length at which the algorithm changes.
func TestTheSeamIsSmooth(t *testing.T) {
	for _, total := range []int{textbookMost, textbookMost + 1} {
		var weights []int
		for rest := total; rest > 0; {
			w := min(rest, 253)
			weights, rest = append(weights, w), rest-w
		}
		seq := Smooth(weights)
		if len(seq) != total {
			t.Fatalf("%d places, want %d", len(seq), total)
		}
		checkShares(t, weights, seq)
	}
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkShares fails unless everybody stands in seq as often as the weights say.
func checkShares(t failer, weights []int, seq []int32) {
	t.Helper()
	counts := make([]int, len(weights))
	for _, i := range seq {
		counts[i]++
	}
	divisor := 0
	for _, w := range weights {
		if w > 0 {
			divisor = gcd(w, divisor)
		}
	}
	for i, w := range weights {
		if w > 0 && counts[i] != w/divisor || w <= 0 && counts[i] != 0 {
			t.Fatalf("weight %d (of %v) has %d places", w, weights, counts[i])
		}
	}
}

// checkSmooth fails if at any moment anybody has a whole place more or less than the weights promise.
func checkSmooth(t failer, weights []int, seq []int32) {
	t.Helper()
	shares, total := reduce(weights)
	for _, s := range shares {
		have := 0
		for slot, i := range seq {
			if i == s.index {
				have++
			}
			// have − (slot+1)·places/total, in parts of total
			if lag := have*total - (slot+1)*s.places; lag >= total || lag <= -total {
				t.Fatalf("after %d places, index %d has %d instead of %.2f", slot+1, i, have, float64((slot+1)*s.places)/float64(total))
			}
		}
	}
}

func countTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i + 1
	}
	return out
}

func BenchmarkSmooth(b *testing.B) {
	mixed := func(n int) []int {
		w := make([]int, n)
		for i := range w {
			w[i] = 1 + i*7919%255
		}
		return w
	}
	for _, tt := range []struct {
		name    string
		weights []int
	}{
		{"3", []int{5, 3, 2}},
		{"4095 almost equal", append(slices.Repeat([]int{1}, 4094), 2)},
		{"10000 equal", slices.Repeat([]int{50}, 10_000)},
		{"10000 mixed", mixed(10_000)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				Smooth(tt.weights)
			}
		})
	}
}
