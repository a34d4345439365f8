package health

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantileOfLagsIsAtMostAFifthTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "lags")
		var two [2]lags
		for i, d := range all {
			two[i%2].add(time.Duration(d))
		}
		l := two[0].with(&two[1])
		slices.Sort(all)
		for _, q := range []float64{0.5, 0.99, 1} {
			exact := time.Duration(all[int(float64(len(all))*q+0.999999)-1])
			got := l.quantile(q)
			if got < exact || got > max(exact*12/10, lagLeast) {
				t.Fatalf("%v of %d lags: %v, exactly %v", q, len(all), got, exact)
			}
		}
	})
	if got := (&lags{}).quantile(0.99); got != 0 {
		t.Errorf("of none: %v", got)
	}
}

func TestLagsOfTheLastMinuteAreTold(t *testing.T) {
	var m meter
	now := noon
	for i := range 1000 {
		m.started(now, time.Duration(i/980)*3*time.Second) // the last 20 of them were late
	}
	if s := m.read(now); s.MaxLag != 3*time.Second || s.LagP99 != 3*time.Second {
		t.Errorf("%+v", s)
	}
	if s := m.read(now.Add(59 * time.Second)); s.LagP99 != 3*time.Second {
		t.Errorf("within the minute: %+v", s)
	}
	if s := m.read(now.Add(3 * time.Minute)); s.LagP99 != 0 || s.MaxLag != 0 {
		t.Errorf("long after: %+v", s)
	}
}
