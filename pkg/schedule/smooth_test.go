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
		weights := rapid.SliceOfN(rapid.IntRange(0, 255), 0, 16).Draw(t, "weights")
		checkShares(t, weights, Smooth(weights))
	})
}

func TestAtNoMomentIsAnybodyAPlaceAheadOrBehind(t *testing.T) {
	for _, weights := range [][]int{{5, 3, 2}, {1, 1}, {255, 1}, {7, 5, 3, 2, 1}, {255, 254, 253, 2}} {
		checkSmooth(t, weights, Smooth(weights))
	}
}

func TestSequencesAreNotTooLong(t *testing.T) {
	for total, want := range map[int]int{MaxPlaces: MaxPlaces, MaxPlaces + 1: 0} {
		var weights []int
		for rest := total; rest > 0; {
			w := min(rest, 253)
			weights, rest = append(weights, w), rest-w
		}
		if got := len(Smooth(weights)); got != want {
			t.Errorf("weights of %d together: %d places, want %d", total, got, want)
		}
	}
	if got := len(Smooth(slices.Repeat([]int{7}, MaxPlaces))); got != MaxPlaces {
		t.Errorf("%d equal ones: %d places", MaxPlaces, got)
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

func BenchmarkSmooth(b *testing.B) {
	for _, tt := range []struct {
		name    string
		weights []int
	}{
		{"3", []int{5, 3, 2}},
		{"4095 almost equal", append(slices.Repeat([]int{1}, 4094), 2)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				Smooth(tt.weights)
			}
		})
	}
}
