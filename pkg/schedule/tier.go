package schedule

import (
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// Turn is whose turn it is to take new flows, the primaries' or the backups'. It outlives a decision, because
// primaries that come and go must not take their clients along each time. The zero Turn is the primaries'.
type Turn struct {
	Backups bool
	Since   time.Time // since when the primaries have been enough again; zero: they are not
}

// next is whose turn it is now. The backups' begins as soon as the primaries are surely not enough: at a start, results come
// one by one. It ends when they surely have been enough for long enough.
func (t Turn) next(p primaries, rules Rules, now time.Time) Turn {
	switch {
	case !t.Backups && p.mayBeEnough(rules.MinEligible):
		return Turn{}
	case !p.enough(rules.MinEligible):
		return Turn{Backups: true}
	case t.Since.IsZero():
		t.Since = now
	}
	if now.Sub(t.Since) >= rules.FailbackDelay {
		return Turn{}
	}
	return t
}

// Ends is when the backups' turn ends if nothing else changes; zero: not by itself.
func (t Turn) Ends(delay time.Duration) time.Time {
	if t.Since.IsZero() {
		return time.Time{}
	}
	return t.Since.Add(delay)
}

// primaries counts those of a config.
type primaries struct {
	all, eligible    int
	weight, ofWeight int // of the eligible ones, and of all
	waiting          int // not known yet
	waitingWeight    int
}

func (d *Decision) count(cands []Candidate) (p primaries) {
	for i := range cands {
		if cands[i].Mode != lb.Accept {
			continue
		}
		p.all++
		p.ofWeight += cands[i].Weight
		switch {
		case d.Eligible[i]:
			p.eligible++
			p.weight += cands[i].Weight
		case cands[i].effective() == lb.Unknown:
			p.waiting++
			p.waitingWeight += cands[i].Weight
		}
	}
	return p
}

func (p primaries) enough(min lb.MinEligible) bool {
	return min.Reached(p.eligible, p.weight, p.ofWeight)
}

// mayBeEnough counts those that are not known yet, but does not rely on them alone.
func (p primaries) mayBeEnough(min lb.MinEligible) bool {
	return p.eligible > 0 && min.Reached(p.eligible+p.waiting, p.weight+p.waitingWeight, p.ofWeight)
}
