package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheSweepFindsWhatExpiredWithinFourSeconds(t *testing.T) {
	for _, buckets := range []uint32{128, 1024, 131072, 1, 3, 1000} { // the last three are no powers of two, nor whole quarters
		synctest.Test(t, func(t *testing.T) {
			visited := map[int]map[uint32]bool{4: {}, 6: {}}
			s := &sweeper{log: quiet(), tables: []table{{family: 4, buckets: buckets}, {family: 6, buckets: 16}}}
			s.sweep = func(family int, first, count uint32) (uint32, error) {
				size := map[int]uint32{4: buckets, 6: 16}[family]
				if first >= size || count > size {
					t.Errorf("sweep of %d buckets from %d in a table of %d", count, first, size)
				}
				for i := range count {
					visited[family][(first+i)%size] = true
				}
				return 1, nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), sweepRounds*sweepInterval+time.Millisecond)
			defer cancel()
			if err := s.run(ctx); err != nil {
				t.Fatal(err)
			}
			if len(visited[4]) != int(buckets) || len(visited[6]) != 16 {
				t.Errorf("of %d buckets %d were visited, of 16 %d", buckets, len(visited[4]), len(visited[6]))
			}
		})
	}
}

func TestASweepThatFailsGoesOnWhereItWas(t *testing.T) {
	var firsts []uint32
	fail := true
	s := &sweeper{log: quiet(), tables: []table{{family: 4, buckets: 8}}}
	s.sweep = func(_ int, first, _ uint32) (uint32, error) {
		firsts = append(firsts, first)
		if fail {
			return 0, errors.New("no")
		}
		return 0, nil
	}
	if err := s.visit(); err == nil {
		t.Error("the failure is swallowed")
	}
	fail = false
	for range 4 {
		if err := s.visit(); err != nil {
			t.Fatal(err)
		}
	}
	want := []uint32{0, 0, 2, 4, 6}
	for i := range want {
		if firsts[i] != want[i] {
			t.Fatalf("visited from %v, want %v", firsts, want)
		}
	}
}
