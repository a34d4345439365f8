package health

import (
	"slices"
	"sync"
	"time"
)

// Attempt is one check in a target's history.
type Attempt struct {
	At       time.Time // its end
	Duration time.Duration
	Reason   string // why it failed; empty for a success
}

// historyLen is how many checks are remembered per probe: an hour at a minute's interval.
const historyLen = 64

// history is the last checks of a probe. It grows with them, so that thousands of probes that have just
// begun cost nothing. It is written by the Manager and read by anybody.
type history struct {
	mu   sync.Mutex
	ring []Attempt
	next int // the oldest, once the ring is full
}

func (h *history) add(a Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ring) < historyLen {
		h.ring = append(h.ring, a)
		return
	}
	h.ring[h.next] = a
	h.next = (h.next + 1) % historyLen
}

// list is a copy, the oldest first.
func (h *history) list() []Attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Concat(h.ring[h.next:], h.ring[:h.next])
}

// copyTo makes another history start as this one.
func (h *history) copyTo(to *history) {
	list := h.list()
	to.mu.Lock()
	defer to.mu.Unlock()
	to.ring, to.next = list, 0
}
