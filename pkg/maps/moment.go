package maps

import "time"

// Moment is a time that outlives a process, but not a boot: nanoseconds of CLOCK_MONOTONIC, which no
// step of the wall clock moves. 0: none.
type Moment int64

// timeline ties the times of a process to Moments.
type timeline struct {
	now    func() time.Time
	anchor time.Time
	at     Moment // the anchor's
}

func newTimeline(now func() time.Time) timeline {
	return timeline{now: now, anchor: now(), at: Moment(monotonic())}
}

// Moment returns the Moment of a time of this process's clock; of the zero Time none.
func (l *timeline) Moment(t time.Time) Moment {
	if t.IsZero() {
		return 0
	}
	return l.at + Moment(t.Sub(l.anchor))
}

// Time is the reverse of Moment, by the wall clock of now.
func (l *timeline) Time(m Moment) time.Time {
	if m == 0 {
		return time.Time{}
	}
	now := l.now()
	return now.Add(time.Duration(m - l.Moment(now)))
}

// momentJiffies returns the first jiffy that is not before a Moment.
func (m *memory) momentJiffies(at Moment) uint32 {
	const second = int64(time.Second)
	if at == 0 {
		return 0
	}
	passed, hz := int64(at)-int64(m.meta.MonotonicNs), int64(m.hz())
	part := passed % second * hz
	if part > 0 {
		part += second - 1 // division rounds towards 0
	}
	return uint32(int64(m.meta.Jiffies) + passed/second*hz + part/second)
}

// jiffiesMoment is the reverse, exact to a jiffy: of all Moments with these 32 bits the one nearest to now.
func (m *memory) jiffiesMoment(jiffies uint32) Moment {
	now := m.Moment(m.now())
	away := int64(int32(jiffies - jiffiesAt(&m.meta, uint64(now))))
	return now + Moment(away*int64(time.Second)/int64(m.hz()))
}
