package health

import (
	"sync"
	"time"
)

// meter counts for Stats. The Manager's goroutine writes, anybody reads.
type meter struct {
	mu    sync.Mutex
	stats Stats
	// The highest lag of this minute and of the one before: together at least the last minute.
	minute time.Time
	maxLag [2]time.Duration
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
	m.maxLag[0] = max(m.maxLag[0], lag)
	m.stats.InFlight++
}

func (m *meter) turn(now time.Time) {
	switch passed := now.Sub(m.minute); {
	case passed < time.Minute:
	case passed < 2*time.Minute:
		m.minute = m.minute.Add(time.Minute)
		m.maxLag = [2]time.Duration{0, m.maxLag[0]}
	default:
		m.minute = now
		m.maxLag = [2]time.Duration{}
	}
}

func (m *meter) read(now time.Time) Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	s := m.stats
	s.MaxLag = max(m.maxLag[0], m.maxLag[1])
	return s
}
