package schedule

import "github.com/headgate/headgate/pkg/lb"

// sticks says whether new flows of clients that stick to the candidate go to it, beside those of the
// nodes that take new flows anyway: to a primary that is eligible though it is not its turn, and to one in
// drain that is as good as an eligible one. Backups have to have their turn, and reject ends it.
func (c *Candidate) sticks(eligible, noneKnown bool) bool {
	switch c.Mode {
	case lb.Accept:
		return eligible
	case lb.Drain:
		return c.up() || c.effective() == lb.Unknown && noneKnown
	}
	return false
}
