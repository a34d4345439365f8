package events

import (
	"slices"
	"sync"
	"time"
)

// Most is how many events are kept; the oldest go first.
const Most = 10000

// Log holds the latest events in memory. Its methods may be called concurrently.
type Log struct {
	now func() time.Time

	mu      sync.Mutex
	list    []Event // ascending by Seq; never changed in place, only cut and appended to
	seq     uint64
	changed chan struct{} // closed by the next Add
}

// NewLog makes a log that goes on after those that were kept, oldest first. now is the clock; nil is
// time.Now.
func NewLog(kept []Event, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	l := &Log{now: now, list: slices.Clone(kept), changed: make(chan struct{})}
	if n := len(kept); n > 0 {
		l.seq = kept[n-1].Seq
	}
	return l
}

// Add appends events, whose Seq and Time it sets, and returns them as they are now known.
func (l *Log) Add(list ...Event) []Event {
	if len(list) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for i := range list {
		l.seq++
		list[i].Seq, list[i].Time = l.seq, now
	}
	l.list = append(l.list, list...)
	if len(l.list) > Most+Most/4 { // not with every event: cutting copies
		l.list = slices.Clone(l.list[len(l.list)-Most:])
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return list
}

// Read returns the latest events that match, at most limit (0: all), oldest first.
func (l *Log) Read(f Filter, limit int) []Event {
	l.mu.Lock()
	list := l.list
	l.mu.Unlock()
	return Select(list[max(0, len(list)-Most):], f, limit)
}

// Last returns the Seq of the latest event.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq
}

// Changed returns a channel that is closed by the next Add. Fetch it before Read, wait on it after.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}
