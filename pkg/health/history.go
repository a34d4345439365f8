package health

import (
	"sync"
	"time"
)

// Attempt is one check in a target's history.
type Attempt struct {
	At       time.Time // its end
	Duration time.Duration
	Reason   string // why it failed; empty for a success
}

// HistoryMost is how many checks are remembered per probe: an hour at a minute's interval.
const HistoryMost = 64

// history is the last checks of a probe. It grows with them, so that thousands of probes that have just
// begun cost nothing. It is written by the Manager and read by anybody.
type history struct {
	mu   sync.Mutex
	ring []entry
	next int // the oldest, once the ring is full
}

// entry is an Attempt in less memory: ten thousand nodes have more than half a million.
type entry struct {
	at     int64 // Unix nanoseconds
	took   int64
	reason string
}

func (h *history) add(a Attempt) {
	e := entry{a.At.UnixNano(), int64(a.Duration), a.Reason}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ring) < HistoryMost {
		h.ring = append(h.ring, e)
		return
	}
	// Failures in a row have the same reason, as a rule, and then share its memory.
	if before := &h.ring[(h.next+HistoryMost-1)%HistoryMost]; before.reason == e.reason {
		e.reason = before.reason
	}
	h.ring[h.next] = e
	h.next = (h.next + 1) % HistoryMost
}

// list is a copy, the oldest first.
func (h *history) list() []Attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Attempt, len(h.ring))
	for i := range out {
		e := &h.ring[(h.next+i)%len(h.ring)]
		out[i] = Attempt{time.Unix(0, e.at), time.Duration(e.took), e.reason}
	}
	return out
}

// copyTo makes another history start as this one.
func (h *history) copyTo(to *history) {
	h.mu.Lock()
	ring, next := append([]entry(nil), h.ring...), h.next
	h.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
	to.ring, to.next = ring, next
}
