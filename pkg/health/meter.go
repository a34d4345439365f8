package health

import (
	"math"
	"sync"
	"time"
)

// meter counts for Stats. The Manager's goroutine writes, anybody reads.
type meter struct {
	mu    sync.Mutex
	stats Stats
	// The lags of this minute and of the one before: together at least the last minute.
	minute time.Time
	lags   [2]lags
}

func (m *meter) update(f func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.stats)
}

func (m *meter) started(now time.Time, lag time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	m.stats.Lag = lag
	m.lags[0].add(lag)
	m.stats.InFlight++
}

func (m *meter) turn(now time.Time) {
	switch passed := now.Sub(m.minute); {
	case passed < time.Minute:
	case passed < 2*time.Minute:
		m.minute = m.minute.Add(time.Minute)
		m.lags = [2]lags{{}, m.lags[0]}
	default:
		m.minute = now
		m.lags = [2]lags{}
	}
}

func (m *meter) read(now time.Time) Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	s := m.stats
	both := m.lags[0].with(&m.lags[1])
	s.MaxLag, s.LagP99 = both.most, both.quantile(0.99)
	return s
}

// lags counts by size: nothing that is late by up to a millisecond, and steps of a fifth beyond, up to hours.
type lags struct {
	counts [lagSteps]uint32
	most   time.Duration
}

const (
	lagSteps   = 96
	lagLeast   = time.Millisecond
	lagDoubles = 4 // steps from one size to its double
)

// lagStep is the first step whose size is not below d.
func lagStep(d time.Duration) int {
	if d <= lagLeast {
		return 0
	}
	step := int(math.Ceil(lagDoubles * math.Log2(float64(d)/float64(lagLeast))))
	return min(step, lagSteps-1)
}

func (l *lags) add(d time.Duration) {
	l.counts[lagStep(d)]++
	l.most = max(l.most, d)
}

func (l *lags) with(other *lags) lags {
	sum := *l
	for i, n := range other.counts {
		sum.counts[i] += n
	}
	sum.most = max(sum.most, other.most)
	return sum
}

// quantile is a duration that so many are not above: by up to a fifth too much, never more than the most.
func (l *lags) quantile(q float64) time.Duration {
	all := 0
	for _, n := range l.counts {
		all += int(n)
	}
	wanted, seen := int(math.Ceil(q*float64(all))), 0
	for step, n := range l.counts {
		if seen += int(n); n > 0 && seen >= wanted {
			size := float64(lagLeast) * math.Exp2(float64(step)/lagDoubles)
			return min(time.Duration(size), l.most)
		}
	}
	return 0
}
