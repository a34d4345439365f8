package schedule

import "github.com/headgate/headgate/pkg/lb"

// why says in words why a node takes new flows or not, given the tier that does.
func (c *Candidate) why(tier Tier, takes bool) string {
	if takes {
		return c.whyTakes(tier)
	}
	switch c.Mode {
	case lb.Reject:
		return "takes no new flows: mode reject"
	case lb.Drain:
		return "takes no new flows: mode drain"
	}
	switch {
	case c.Override == lb.OverrideDown:
		return "takes no new flows: DOWN by override"
	case c.effective() == lb.Down:
		return "takes no new flows: DOWN"
	case !c.up():
		return "takes no new flows: no check has succeeded yet"
	}
	return "takes no new flows: a backup, and a primary is eligible"
}

func (c *Candidate) whyTakes(tier Tier) string {
	switch {
	case tier == Backup:
		return "takes new flows: a backup, and no primary is eligible"
	case tier == Open:
		return "takes new flows although DOWN: nothing is eligible and on_no_backend is open"
	case c.Override == lb.OverrideUp:
		return "takes new flows: UP by override"
	case c.effective() == lb.Up:
		return "takes new flows: UP"
	case c.Check == lb.CheckNone:
		return "takes new flows: not checked"
	}
	return "takes new flows: Unknown, as is every primary"
}
