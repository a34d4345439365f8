package reconcile

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestExtentsNeverOverlapAndNoneIsLost(t *testing.T) {
	const size = 64
	rapid.Check(t, func(t *rapid.T) {
		x, now := newExtents(size), time.Unix(0, 0)
		var taken []extent
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				if e, ok := x.take(uint32(rapid.IntRange(1, 20).Draw(t, "count"))); ok {
					taken = append(taken, e)
				}
			},
			"reserve": func(t *rapid.T) {
				first := rapid.Uint32Range(0, size-1).Draw(t, "first")
				e := extent{first, rapid.Uint32Range(1, size-first).Draw(t, "count")}
				if x.reserve(e) {
					taken = append(taken, e)
				}
			},
			"rest": func(t *rapid.T) {
				if len(taken) > 0 {
					x.rest(taken[0], now)
					taken = taken[1:]
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(700 * time.Millisecond)
				x.release(now)
			},
			"": func(t *rapid.T) {
				var owner [size]int
				all := append([]extent{}, taken...)
				for _, r := range x.rests {
					all = append(all, r.extent)
				}
				for i, e := range append(all, x.free...) {
					for s := e.first; s < e.end(); s++ {
						if owner[s] != 0 {
							t.Fatalf("slot %d is in two extents", s)
						}
						owner[s] = i + 1
					}
				}
				for s, o := range owner {
					if o == 0 {
						t.Fatalf("slot %d is lost", s)
					}
				}
				for i := 1; i < len(x.free); i++ {
					if x.free[i-1].end() >= x.free[i].first {
						t.Fatalf("free extents are not sorted or not joined: %v", x.free)
					}
				}
			},
		})
	})
}

func TestRestingSlotsAreNotGiven(t *testing.T) {
	x, now := newExtents(4), time.Unix(0, 0)
	e, _ := x.take(4)
	x.rest(e, now)
	x.release(now.Add(grace - 1))
	if _, ok := x.take(1); ok {
		t.Fatal("a slot was given before it had rested")
	}
	x.release(now.Add(grace))
	if _, ok := x.take(4); !ok {
		t.Error("rested slots are not given")
	}
}
