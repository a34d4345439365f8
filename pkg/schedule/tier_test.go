package schedule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/lb"
)

func (c Candidate) weight(w int) Candidate { c.Weight = w; return c }

// TestE4BackupsStartBelowMinEligible has both ways to say how many primaries are enough, and their corners.
func TestE4BackupsStartBelowMinEligible(t *testing.T) {
	heavy := acceptUp.weight(200)
	for _, tt := range []struct {
		name  string
		min   lb.MinEligible
		cands []Candidate
		tier  Tier
		takes []int
	}{
		{"two of three are two", lb.MinEligible{N: 2}, []Candidate{acceptUp, acceptUp, acceptDown, backupUp}, Primary, []int{0, 1}},
		{"one of three is not", lb.MinEligible{N: 2}, []Candidate{acceptUp, acceptDown, acceptDown, backupUp}, Backup, []int{3}},
		{"without a backup the one serves", lb.MinEligible{N: 2}, []Candidate{acceptUp, acceptDown, backupDown}, Primary, []int{0}},
		{"nobody is never enough", lb.MinEligible{N: 1}, []Candidate{acceptDown, backupUp}, Backup, []int{1}},
		{"drain is no primary", lb.MinEligible{N: 2}, []Candidate{acceptUp, drainUp, backupUp}, Backup, []int{2}},
		{"all Unknown are eligible", lb.MinEligible{N: 2}, []Candidate{acceptUnknown, acceptUnknown, backupUp}, Primary, []int{0, 1}},
		{"more than there are", lb.MinEligible{N: 5}, []Candidate{acceptUp, acceptUp, backupUp}, Backup, []int{2}},
		{"half the weight", lb.MinEligible{N: 50, Percent: true}, []Candidate{heavy, acceptDown, acceptDown, backupUp}, Primary, []int{0}},
		{"exactly half", lb.MinEligible{N: 50, Percent: true}, []Candidate{acceptUp, acceptDown, backupUp}, Primary, []int{0}},
		{"less than half the weight", lb.MinEligible{N: 50, Percent: true}, []Candidate{acceptDown.weight(200), acceptUp, acceptUp, backupUp}, Backup, []int{3}},
		{"all of it", lb.MinEligible{N: 100, Percent: true}, []Candidate{heavy, acceptDown, backupUp}, Backup, []int{2}},
		{"one may yet come", lb.MinEligible{N: 2}, []Candidate{acceptUp, acceptUnknown, acceptDown, backupUp}, Primary, []int{0}},
		{"too few whoever comes", lb.MinEligible{N: 3}, []Candidate{acceptUp, acceptUnknown, acceptDown, backupUp}, Backup, []int{3}},
		{"nobody relies on those who may come alone", lb.MinEligible{N: 1}, []Candidate{acceptDown, acceptUnknown, backupUp}, Backup, []int{2}},
		{"of no weight", lb.MinEligible{N: 1, Percent: true}, []Candidate{drainUp, backupUp}, Backup, []int{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(tt.cands, Rules{MinEligible: tt.min}, Turn{}, time.Time{})
			if diff := cmp.Diff(tt.takes, d.Takes); diff != "" || d.Tier != tt.tier {
				t.Errorf("tier %s, want %s; takes %s", d.Tier, tt.tier, diff)
			}
		})
	}
}

// TestE4PrimariesTakeOverAfterFailbackDelay follows a config through time.
func TestE4PrimariesTakeOverAfterFailbackDelay(t *testing.T) {
	rules := Rules{MinEligible: lb.MinEligible{N: 2}, FailbackDelay: time.Minute}
	good := []Candidate{acceptUp, acceptUp, backupUp}
	bad := []Candidate{acceptUp, acceptDown, backupUp}
	may := []Candidate{acceptUp, acceptUnknown, backupUp}
	alone := []Candidate{acceptUp, acceptUp, backupDown}
	var turn Turn
	start := time.Unix(1_800_000_000, 0)
	for _, step := range []struct {
		after time.Duration
		cands []Candidate
		tier  Tier
		ends  time.Duration
		why   string
	}{
		{0, good, Primary, 0, "takes no new flows: a backup, and enough primaries are eligible"},
		{time.Second, bad, Backup, 0, "takes new flows: backup tier: 1 of 2 primaries eligible, min_eligible 2"},
		{2 * time.Second, good, Backup, 62 * time.Second, "takes new flows: backup tier: the primaries are enough again, but not yet for failback_delay 1m"},
		{50 * time.Second, good, Backup, 62 * time.Second, "takes new flows: backup tier: the primaries are enough again, but not yet for failback_delay 1m"},
		{55 * time.Second, bad, Backup, 0, "takes new flows: backup tier: 1 of 2 primaries eligible, min_eligible 2"}, // starts anew
		{60 * time.Second, good, Backup, 120 * time.Second, "takes new flows: backup tier: the primaries are enough again, but not yet for failback_delay 1m"},
		{119 * time.Second, good, Backup, 120 * time.Second, "takes new flows: backup tier: the primaries are enough again, but not yet for failback_delay 1m"},
		{120 * time.Second, good, Primary, 0, "takes no new flows: a backup, and enough primaries are eligible"},
		{130 * time.Second, bad, Backup, 0, "takes new flows: backup tier: 1 of 2 primaries eligible, min_eligible 2"},
		{131 * time.Second, may, Backup, 0, "takes new flows: backup tier: 1 of 2 primaries eligible, min_eligible 2"}, // not for a perhaps
		{131 * time.Second, alone, Primary, 0, "takes no new flows: DOWN"},                                             // nobody to wait with
		{132 * time.Second, good, Primary, 0, "takes no new flows: a backup, and enough primaries are eligible"},
	} {
		d := Decide(step.cands, rules, turn, start.Add(step.after))
		turn = d.Turn
		if d.Tier != step.tier {
			t.Fatalf("after %s: tier %s, want %s", step.after, d.Tier, step.tier)
		}
		var ends time.Duration
		if at := turn.Ends(rules.FailbackDelay); !at.IsZero() {
			ends = at.Sub(start)
		}
		if ends != step.ends {
			t.Fatalf("after %s: the backups' turn ends after %s, want %s", step.after, ends, step.ends)
		}
		if d.Why[2] != step.why {
			t.Fatalf("after %s: %s, want %s", step.after, d.Why[2], step.why)
		}
	}
}

func TestE4EveryNodeIsToldWhyTheBackupsServe(t *testing.T) {
	d := Decide([]Candidate{acceptUp, acceptDown, acceptUnknown, backupUp}, Rules{MinEligible: lb.MinEligible{N: 70, Percent: true}}, Turn{}, time.Time{})
	const why = "backup tier: 1 of 3 primaries eligible with 33 % of their weight, min_eligible 70%"
	want := []string{"takes no new flows: " + why, "takes no new flows: DOWN", "takes no new flows: no check has succeeded yet", "takes new flows: " + why}
	if diff := cmp.Diff(want, d.Why); diff != "" {
		t.Error(diff)
	}
}
