package dptest

import (
	"fmt"
	"time"
)

// evictionSlack is what a stamp may be behind the truth; flows that are so close are equally old.
const evictionSlack = 200 * time.Millisecond

// makeRoom lets a flow of a family leave if the table is full. It says whether there is room then.
func (m *Model) makeRoom(v4 bool) bool {
	var all []*modelFlow
	for _, f := range m.flows {
		if f.In.Src.Addr().Is4() == v4 {
			all = append(all, f)
		}
	}
	if m.Capacity == 0 || len(all) < m.Capacity {
		return true
	}
	first := m.firstToLeave(all)
	if len(first) == 0 {
		return false
	}
	for _, f := range first {
		if m.Gone(&f.Flow) {
			m.remove(f, m.whyItLeaves(f))
			return true
		}
	}
	m.Faults = append(m.Faults, fmt.Sprintf("should have left, but did not: %s (or as good: %d more)", first[0], len(first)-1))
	m.remove(first[0], m.whyItLeaves(first[0]))
	return true
}

// whyItLeaves says whether a flow that gives its room had time left. Of one that is closing nobody looks when it was
// last heard of.
func (m *Model) whyItLeaves(f *modelFlow) string {
	if f.Class == Closing && m.now-f.closed > closingIdle || f.Class != Closing && m.expired(f) {
		return "expired"
	}
	return "room"
}

// firstToLeave returns the flows of which any may leave now: what has expired or, just as dead, is
// closing; else the oldest half-open flows, else the UDP sessions that are idle for longest. The program
// orders half-open flows by a time between their first and their last packet, so of them any may leave
// that is no younger than another is idle. A session past its node's deadline leaves before all others
// once the program, which does not know of it before it looks, takes it for expired.
func (m *Model) firstToLeave(all []*modelFlow) []*modelFlow {
	only := func(keep func(*modelFlow) bool) (some []*modelFlow) {
		for _, f := range all {
			if keep(f) {
				some = append(some, f)
			}
		}
		return some
	}
	overdue := only(func(f *modelFlow) bool { return f.Class == UDP && m.overdue(f) })
	if over := only(func(f *modelFlow) bool { return m.outlived(f) || f.Class == Closing }); len(over) > 0 {
		return append(over, overdue...)
	}
	for _, class := range []Class{HalfOpen, UDP} {
		var longest time.Duration
		for _, f := range only(func(f *modelFlow) bool { return f.Class == class }) {
			longest = max(longest, m.idle(f))
		}
		some := only(func(f *modelFlow) bool {
			age := m.idle(f)
			if class == HalfOpen {
				age = m.now - f.born
			}
			return f.Class == class && age+evictionSlack >= longest
		})
		if len(some) > 0 {
			return append(some, overdue...)
		}
	}
	return nil
}

func (m *Model) idle(f *modelFlow) time.Duration { return m.now - max(f.seenForward, f.seenReply) }
