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

// next is whose turn it is now. The backups' begins at once when the primaries are not enough, and ends when these
// have been for as long as delay.
func (t Turn) next(enough bool, delay time.Duration, now time.Time) Turn {
	switch {
	case !enough:
		return Turn{Backups: true}
	case !t.Backups:
		return Turn{}
	case t.Since.IsZero():
		t.Since = now
	}
	if now.Sub(t.Since) >= delay {
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
}

func (d *Decision) count(cands []Candidate) (p primaries) {
	for i := range cands {
		if cands[i].Mode != lb.Accept {
			continue
		}
		p.all++
		p.ofWeight += cands[i].Weight
		if d.Eligible[i] {
			p.eligible++
			p.weight += cands[i].Weight
		}
	}
	return p
}

func (p primaries) enough(min lb.MinEligible) bool {
	return min.Reached(p.eligible, p.weight, p.ofWeight)
}
