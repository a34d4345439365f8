package schedule

import (
	"fmt"

	"github.com/headgate/headgate/pkg/lb"
)

// Beginnings of each reason.
const (
	takesNew   = "takes new flows"
	takesNone  = "takes no new flows: "
	backupTier = "backup tier: "
)

// Full is why a node takes no new flows that would otherwise: it has all the active flows that it may have. The
// data path finds out for each flow; here are the words.
func Full(active uint64, most uint32) string {
	return fmt.Sprintf("%sfull: %d of %d connections", takesNone, active, most)
}

// reasons knows what a decision was made of.
type reasons struct {
	rules  Rules
	count  primaries
	enough bool
	tier   Tier
}

// why says in words why a node takes new flows, with how many percent of its weight, or why it takes none.
func (r *reasons) why(c *Candidate, eligible bool, percent int) string {
	switch {
	case percent > 0:
		return r.whyTakes(c, percent)
	case c.Mode == lb.Reject:
		return takesNone + "mode reject"
	case c.Mode == lb.Drain:
		return takesNone + "mode drain"
	case eligible:
		return takesNone + r.whyBackups()
	case c.Override == lb.OverrideDown:
		return takesNone + "DOWN by override"
	case c.effective() == lb.Down:
		return takesNone + "DOWN"
	case !c.up():
		return takesNone + "no check has succeeded yet"
	case r.count.eligible > 1:
		return takesNone + "a backup, and enough primaries are eligible"
	}
	return takesNone + "a backup, and a primary is eligible"
}

func (r *reasons) whyTakes(c *Candidate, percent int) string {
	if percent < 100 {
		return fmt.Sprintf("%s: slow start: %d %% of its weight", takesNew, percent)
	}
	switch {
	case r.tier == Backup && r.count.eligible == 0:
		return takesNew + ": a backup, and no primary is eligible"
	case r.tier == Backup:
		return takesNew + ": " + r.whyBackups()
	case r.tier == Open:
		return takesNew + " although DOWN: nothing is eligible and on_no_backend is open"
	case c.Override == lb.OverrideUp:
		return takesNew + ": UP by override"
	case c.effective() == lb.Up:
		return takesNew + ": UP"
	case c.Spared:
		return takesNew + ": not checked; it fails connections, but no more than half may be out for that"
	case c.Check == lb.CheckNone:
		return takesNew + ": not checked"
	}
	return takesNew + ": Unknown, as is every primary"
}

// whyBackups says why the backups take new flows although primaries are eligible.
func (r *reasons) whyBackups() string {
	if r.enough {
		return fmt.Sprintf("%sthe primaries are enough again, but not yet for failback_delay %s", backupTier, lb.FormatDuration(r.rules.FailbackDelay))
	}
	text := fmt.Sprintf("%s%d of %d primaries eligible", backupTier, r.count.eligible, r.count.all)
	if r.rules.MinEligible.Percent {
		text += fmt.Sprintf(" with %d %% of their weight", r.count.weight*100/r.count.ofWeight)
	}
	return text + fmt.Sprintf(", min_eligible %s", r.rules.MinEligible)
}
