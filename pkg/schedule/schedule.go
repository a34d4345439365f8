// Package schedule decides, from modes, health and weights, which nodes of a config take new flows and
// in which order. It is pure: the same input gives the same answer, nothing is remembered, nothing is
// read from outside.
package schedule

import (
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// Candidate is a node as far as scheduling is concerned.
type Candidate struct {
	Weight   int // 1 to 255
	Mode     lb.Mode
	Health   lb.Health // as checks found it
	Override lb.Override
	Check    lb.CheckType
	Spared   bool // fails connections, and is not ejected only because others are
	Ramp     int  // percent of its weight, while it starts slowly; 0: all of it
}

// Rules are what a config says about who takes new flows.
type Rules struct {
	OnNoBackend   lb.OnNoBackend
	MinEligible   lb.MinEligible
	FailbackDelay time.Duration
}

// Tier is the group of nodes that takes the new flows of a config.
type Tier string

// Tiers.
const (
	Primary Tier = "primary" // eligible nodes in mode accept
	Backup  Tier = "backup"  // UP nodes in mode backup, while not enough primaries are eligible
	Open    Tier = "open"    // DOWN nodes in mode accept: nothing is eligible, and on_no_backend is open
	None    Tier = "none"    // nobody: new flows are refused or dropped
)

// Decision is who takes new flows. Its slices belong to the caller.
type Decision struct {
	Takes    []int    // indices into the candidates, ascending; empty when Tier is None
	Tier     Tier     // the group that they belong to
	Percent  []int    // per candidate: of its weight that counts; 0 when it takes no new flows
	Eligible []bool   // per candidate: a primary that is UP, or Unknown where that suffices; never a backup
	Sticks   []bool   // per candidate: takes new flows of clients that stick to it; whoever takes new flows does
	Why      []string // per candidate: in words, why it takes new flows or not
	Turn     Turn     // to be given to the next Decide
}

// Effective is the health that counts: what people set wins over what checks found.
func Effective(h lb.Health, o lb.Override) lb.Health {
	switch o {
	case lb.OverrideUp:
		return lb.Up
	case lb.OverrideDown:
		return lb.Down
	}
	return h
}

// Decide says which candidates take new flows. They are the nodes of one config and one address
// family. A candidate in reject takes none whatever its override; then override wins over health, and
// health over drain and backup. turn is the last decision's.
func Decide(cands []Candidate, rules Rules, turn Turn, now time.Time) Decision {
	d := Decision{
		Tier: None, Percent: make([]int, len(cands)), Eligible: make([]bool, len(cands)),
		Sticks: make([]bool, len(cands)), Why: make([]string, len(cands)),
	}
	noneKnown := noPrimaryIsKnown(cands)
	for i := range cands {
		d.Eligible[i] = cands[i].Mode == lb.Accept && (cands[i].up() || noneKnown)
	}
	count := d.count(cands)
	enough := count.enough(rules.MinEligible)
	d.Turn = turn.next(count, rules, now)

	backups := func(i int) bool { return cands[i].Mode == lb.Backup && cands[i].up() }
	switch {
	case d.Turn.Backups && d.take(Backup, backups):
	case d.take(Primary, func(i int) bool { return d.Eligible[i] }):
		if enough {
			d.Turn = Turn{} // nobody is left that they could take over from
		}
	case rules.OnNoBackend == lb.NoBackendOpen:
		d.take(Open, func(i int) bool { return cands[i].Mode == lb.Accept && cands[i].effective() == lb.Down })
	}

	for _, i := range d.Takes {
		d.Percent[i] = cands[i].percent(len(d.Takes))
	}
	w := reasons{rules: rules, count: count, enough: enough, tier: d.Tier}
	for i := range cands {
		d.Sticks[i] = d.Percent[i] > 0 || cands[i].sticks(d.Eligible[i], noneKnown)
		d.Why[i] = w.why(&cands[i], d.Eligible[i], d.Percent[i])
	}
	return d
}

// take gives the new flows to the tier, if anybody belongs to it.
func (d *Decision) take(tier Tier, belongs func(i int) bool) bool {
	for i := range d.Eligible {
		if belongs(i) {
			d.Takes = append(d.Takes, i)
		}
	}
	if len(d.Takes) > 0 {
		d.Tier = tier
	}
	return len(d.Takes) > 0
}

func (c *Candidate) effective() lb.Health { return Effective(c.Health, c.Override) }

// up says that the node is known to be good, or that nobody wants to know: a node that is not checked
// stays Unknown for ever and is taken for good.
func (c *Candidate) up() bool {
	h := c.effective()
	return h == lb.Up || h == lb.Unknown && c.Check == lb.CheckNone
}

// percent is how much of its weight counts for a node that takes new flows beside others: all of it, once it has
// started. For the only one there is nothing to spare it from.
func (c *Candidate) percent(takes int) int {
	if c.Ramp == 0 || takes == 1 {
		return 100
	}
	return c.Ramp
}

// noPrimaryIsKnown says that every primary is Unknown: then all of them are as good as UP, or else a
// new config would refuse everybody until its first check has succeeded.
func noPrimaryIsKnown(cands []Candidate) bool {
	for i := range cands {
		if cands[i].Mode == lb.Accept && cands[i].effective() != lb.Unknown {
			return false
		}
	}
	return true
}
