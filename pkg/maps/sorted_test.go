package maps

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestFlowsComeInTheirOrder(t *testing.T) {
	f := withFlows(t, 0)
	for i := range 40 {
		one := flow4(i)
		one.Age, one.Idle = time.Duration((i*7)%40)*time.Minute, time.Duration((i*11)%40)*time.Second
		one.BytesIn, one.BytesOut = uint64((i*3)%40)*1000, 1
		one.PacketsIn, one.PacketsOut = 1, uint32((i*13)%40)
		must(t, f.AddFlow(one))
	}
	must(t, f.AddFlow(flow6(0)))
	r := f.Reader()
	for order, key := range map[FlowOrder]func(Flow) int64{
		ByBytes:   func(f Flow) int64 { return int64(f.BytesIn + f.BytesOut) },
		ByPackets: func(f Flow) int64 { return int64(f.PacketsIn) + int64(f.PacketsOut) },
		ByAge:     func(f Flow) int64 { return int64(f.Age.Round(time.Minute)) },
		ByIdle:    func(f Flow) int64 { return int64(f.Idle.Round(time.Second)) },
	} {
		var keys []int64
		for f := range r.FlowsBy(FlowFilter{}, order, 0) {
			keys = append(keys, key(f))
		}
		if len(keys) != 41 || !slices.IsSortedFunc(keys, func(a, b int64) int { return int(b/1e6 - a/1e6) }) {
			t.Errorf("order %d: %d keys %v", order, len(keys), keys)
		}
		var most []int64
		for f := range r.FlowsBy(FlowFilter{Client: netip.MustParseAddr("198.51.100.1")}, order, 3) {
			if f.Client.Addr() != netip.MustParseAddr("198.51.100.1") {
				t.Errorf("order %d: %+v", order, f)
			}
			most = append(most, key(f))
		}
		if len(most) != 3 || most[0] < most[1] || most[1] < most[2] {
			t.Errorf("order %d: the three first are %v", order, most)
		}
	}
}

func TestAReaderThatHasEnoughEndsTheSearch(t *testing.T) {
	r := manyFlows(t, 20_000).Reader()
	for range r.Flows(FlowFilter{}) {
		break
	}
	n := 0
	for range r.FlowsBy(FlowFilter{}, ByAge, 0) {
		if n++; n == 5 {
			break
		}
	}
}

// TestManyRanksAreSorted compares with a sort by comparisons; many keys are equal, and some are as large as can be.
func TestManyRanksAreSorted(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 1000, 100_000} {
		var parts [][]ranked
		for i := range n {
			if i%777 == 0 {
				parts = append(parts, nil)
			}
			key := rnd.Uint64N(1000) << rnd.UintN(2) << (8 * rnd.UintN(7))
			parts[len(parts)-1] = append(parts[len(parts)-1], ranked{key, place{uint32(i), uint8(i % 2)}})
		}
		want := slices.Concat(parts...)
		slices.SortStableFunc(want, func(a, b ranked) int { return cmp.Compare(b.key, a.key) })
		if !slices.Equal(sorted(parts), want) {
			t.Errorf("%d places are not in order", n)
		}
	}
}
