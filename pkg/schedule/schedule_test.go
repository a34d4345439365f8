package schedule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/pkg/lb"
)

// node is a checked candidate of weight 1.
func node(mode lb.Mode, health lb.Health) Candidate {
	return Candidate{Weight: 1, Mode: mode, Health: health, Override: lb.OverrideNone, Check: lb.CheckConnection}
}

func (c Candidate) override(o lb.Override) Candidate { c.Override = o; return c }
func (c Candidate) unchecked() Candidate             { c.Check = lb.CheckNone; return c }

var (
	acceptUp, acceptUnknown, acceptDown = node(lb.Accept, lb.Up), node(lb.Accept, lb.Unknown), node(lb.Accept, lb.Down)
	drainUp, drainUnknown, drainDown    = node(lb.Drain, lb.Up), node(lb.Drain, lb.Unknown), node(lb.Drain, lb.Down)
	rejectUp, rejectUnknown, rejectDown = node(lb.Reject, lb.Up), node(lb.Reject, lb.Unknown), node(lb.Reject, lb.Down)
	backupUp, backupUnknown, backupDown = node(lb.Backup, lb.Up), node(lb.Backup, lb.Unknown), node(lb.Backup, lb.Down)
)

// TestModeMatrix has the rows of the normative table (what mode and health do to traffic) and the
// decisions that bear on who takes new flows.
func TestModeMatrix(t *testing.T) {
	tests := []struct {
		name  string
		cands []Candidate
		open  bool
		tier  Tier
		takes []int
	}{
		{"row1/accept-up/takes", []Candidate{acceptUp}, false, Primary, []int{0}},
		{"row1/accept-up/all-of-them", []Candidate{acceptUp, acceptUp, acceptUp}, false, Primary, []int{0, 1, 2}},
		{"row2/accept-unknown/waits", []Candidate{acceptUp, acceptUnknown}, false, Primary, []int{0}},
		{"row2/accept-unknown/waits-beside-down", []Candidate{acceptDown, acceptUnknown}, false, None, nil},
		{"row3/accept-down/no", []Candidate{acceptUp, acceptDown}, false, Primary, []int{0}},
		{"row4/drain-up/no", []Candidate{acceptUp, drainUp}, false, Primary, []int{0}},
		{"row5/drain-down/no", []Candidate{acceptUp, drainDown}, false, Primary, []int{0}},
		{"row6/reject/no", []Candidate{acceptUp, rejectUp, rejectUnknown, rejectDown}, false, Primary, []int{0}},
		{"row6/reject/no-even-alone", []Candidate{rejectUp}, true, None, nil},
		{"row7/backup-up/no-while-a-primary-is-eligible", []Candidate{backupUp, acceptUp, acceptDown}, false, Primary, []int{1}},
		{"row8/backup-up/takes-when-primaries-are-down", []Candidate{acceptDown, backupUp}, false, Backup, []int{1}},
		{"row8/backup-up/takes-beside-waiting-primary", []Candidate{acceptDown, acceptUnknown, backupUp}, false, Backup, []int{2}},
		{"row9/backup-down/no", []Candidate{acceptDown, backupDown, backupUp}, false, Backup, []int{2}},
		{"row9/backup-down/alone", []Candidate{acceptDown, backupDown}, false, None, nil},
		{"row11/nothing", []Candidate{acceptDown, acceptDown}, false, None, nil},
		{"row11/no-candidates", nil, false, None, nil},
		{"row11/no-candidates-open", nil, true, None, nil},

		{"E1/open-sends-to-down-primaries", []Candidate{acceptDown, acceptDown}, true, Open, []int{0, 1}},
		{"E1/open-not-while-one-is-up", []Candidate{acceptDown, acceptUp}, true, Primary, []int{1}},
		{"E1/open-not-while-a-backup-is-up", []Candidate{acceptDown, backupUp}, true, Backup, []int{1}},
		{"E1/open-never-reject-drain-backup", []Candidate{acceptDown, rejectDown, drainDown, backupDown, drainUp, rejectUp}, true, Open, []int{0}},
		{"E1/open-with-nobody-in-accept", []Candidate{rejectDown, drainDown, backupDown, drainUp}, true, None, nil},
		{"E2/no-primary-left-in-accept", []Candidate{drainUp, rejectUp, backupUp}, false, Backup, []int{2}},
		{"E3/backups-share", []Candidate{backupUp, acceptDown, backupUp, backupDown}, false, Backup, []int{0, 2}},
		{"E13/drain-takes-none-even-alone", []Candidate{drainUp, drainUnknown}, false, None, nil},
		{"E14/all-unknown", []Candidate{acceptUnknown, acceptUnknown}, false, Primary, []int{0, 1}},
		{"E14/all-unknown-before-backups", []Candidate{acceptUnknown, backupUp}, false, Primary, []int{0}},
		{"E14/only-primaries-are-asked", []Candidate{acceptUnknown, drainUp, rejectDown, backupDown}, false, Primary, []int{0}},
		{"E14/first-success-ends-it", []Candidate{acceptUnknown, acceptUp, acceptUnknown}, false, Primary, []int{1}},
		{"E14/first-failure-ends-it", []Candidate{acceptUnknown, acceptDown}, false, None, nil},
		{"E14/unknown-backup-waits", []Candidate{acceptDown, backupUnknown}, false, None, nil},
		{"E14/unchecked-primary", []Candidate{acceptUnknown.unchecked()}, false, Primary, []int{0}},
		{"E14/unchecked-primary-beside-override-down", []Candidate{acceptUnknown.unchecked(), acceptUnknown.unchecked().override(lb.OverrideDown)}, false, Primary, []int{0}},
		{"E14/unchecked-backup", []Candidate{acceptUnknown.unchecked().override(lb.OverrideDown), backupUnknown.unchecked()}, false, Backup, []int{1}},
		{"E17/every-node-in-drain", []Candidate{drainUp, drainUp, backupDown}, true, None, nil},

		{"E26/override-up-beats-health", []Candidate{acceptDown.override(lb.OverrideUp), acceptUnknown.override(lb.OverrideUp), acceptUp}, false, Primary, []int{0, 1, 2}},
		{"E26/override-down-beats-health", []Candidate{acceptUp.override(lb.OverrideDown), acceptUp}, false, Primary, []int{1}},
		{"E26/override-down-starts-backups", []Candidate{acceptUp.override(lb.OverrideDown), backupUp}, false, Backup, []int{1}},
		{"E26/override-up-on-backup", []Candidate{acceptDown, backupDown.override(lb.OverrideUp)}, false, Backup, []int{1}},
		{"E26/override-down-on-backup", []Candidate{acceptDown, backupUp.override(lb.OverrideDown)}, false, None, nil},
		{"E26/override-is-known", []Candidate{acceptUnknown, acceptUnknown.override(lb.OverrideUp)}, false, Primary, []int{1}},
		{"E26/reject-beats-override", []Candidate{rejectUp.override(lb.OverrideUp)}, true, None, nil},
		{"E26/override-up-keeps-drain", []Candidate{drainDown.override(lb.OverrideUp)}, true, None, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on := []lb.OnNoBackend{lb.NoBackendReset, lb.NoBackendDrop}
			if tt.open {
				on = []lb.OnNoBackend{lb.NoBackendOpen}
			}
			for _, o := range on {
				d := Decide(tt.cands, Rules{OnNoBackend: o}, Turn{}, time.Time{})
				if d.Tier != tt.tier {
					t.Errorf("%s: tier %s, want %s", o, d.Tier, tt.tier)
				}
				if diff := cmp.Diff(tt.takes, d.Takes, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: takes %s", o, diff)
				}
			}
		})
	}
}

func TestEligibleMeansPrimariesOnly(t *testing.T) {
	d := Decide([]Candidate{acceptUp, acceptUnknown, acceptDown, backupUp, drainUp, rejectUp}, Rules{}, Turn{}, time.Time{})
	if diff := cmp.Diff([]bool{true, false, false, false, false, false}, d.Eligible); diff != "" {
		t.Error(diff)
	}
	d = Decide([]Candidate{acceptDown, backupUp}, Rules{OnNoBackend: lb.NoBackendOpen}, Turn{}, time.Time{})
	if diff := cmp.Diff([]bool{false, false}, d.Eligible); diff != "" {
		t.Error(diff)
	}
}

func TestOverrideWinsOverHealth(t *testing.T) {
	for _, h := range []lb.Health{lb.Unknown, lb.Up, lb.Down} {
		for o, want := range map[lb.Override]lb.Health{lb.OverrideUp: lb.Up, lb.OverrideDown: lb.Down, lb.OverrideNone: h, "": h} {
			if got := Effective(h, o); got != want {
				t.Errorf("%s with override %q: %s, want %s", h, o, got, want)
			}
		}
	}
}

func TestEveryNodeIsToldWhy(t *testing.T) {
	const no, yes = "takes no new flows", "takes new flows"
	for _, tt := range []struct {
		cands []Candidate
		on    lb.OnNoBackend
		want  []string
	}{
		{[]Candidate{acceptUp, acceptUnknown, acceptDown, drainUp, rejectUp, backupUp, backupDown}, lb.NoBackendReset, []string{
			yes + ": UP", no + ": no check has succeeded yet", no + ": DOWN", no + ": mode drain", no + ": mode reject",
			no + ": a backup, and a primary is eligible", no + ": DOWN",
		}},
		{[]Candidate{acceptDown, backupUp, backupUnknown}, lb.NoBackendOpen, []string{
			no + ": DOWN", yes + ": a backup, and no primary is eligible", no + ": no check has succeeded yet",
		}},
		{[]Candidate{acceptDown, acceptUnknown}, lb.NoBackendOpen, []string{
			yes + " although DOWN: nothing is eligible and on_no_backend is open", no + ": no check has succeeded yet",
		}},
		{[]Candidate{acceptUnknown, acceptUnknown}, lb.NoBackendReset, []string{
			yes + ": Unknown, as is every primary", yes + ": Unknown, as is every primary",
		}},
		{[]Candidate{acceptUnknown.unchecked(), acceptUp.override(lb.OverrideDown), acceptDown.override(lb.OverrideUp)}, lb.NoBackendReset, []string{
			yes + ": not checked", no + ": DOWN by override", yes + ": UP by override",
		}},
		{[]Candidate{rejectUp.override(lb.OverrideUp)}, lb.NoBackendReset, []string{no + ": mode reject"}},
	} {
		if diff := cmp.Diff(tt.want, Decide(tt.cands, Rules{OnNoBackend: tt.on}, Turn{}, time.Time{}).Why); diff != "" {
			t.Error(diff)
		}
	}
}

// TestWhatMustNeverHappen holds for any nodes in any state.
func TestWhatMustNeverHappen(t *testing.T) {
	candidate := rapid.Custom(func(t *rapid.T) Candidate {
		return Candidate{
			Weight:   rapid.IntRange(1, 255).Draw(t, "weight"),
			Mode:     rapid.SampledFrom(lb.Modes).Draw(t, "mode"),
			Health:   rapid.SampledFrom([]lb.Health{lb.Unknown, lb.Up, lb.Down}).Draw(t, "health"),
			Override: rapid.SampledFrom([]lb.Override{"", lb.OverrideNone, lb.OverrideUp, lb.OverrideDown}).Draw(t, "override"),
			Check:    rapid.SampledFrom(lb.CheckTypes).Draw(t, "check"),
			Ramp:     rapid.SampledFrom([]int{0, 10, 90, 100}).Draw(t, "ramp"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		cands := rapid.SliceOfN(candidate, 0, 8).Draw(t, "candidates")
		on := rapid.SampledFrom(lb.OnNoBackends).Draw(t, "on_no_backend")
		rules := Rules{
			OnNoBackend:   on,
			MinEligible:   lb.MinEligible{N: rapid.IntRange(1, 100).Draw(t, "min_eligible"), Percent: rapid.Bool().Draw(t, "percent")},
			FailbackDelay: rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "failback_delay"),
		}
		now := time.Unix(1_800_000_000, 0)
		turn := Turn{Backups: rapid.Bool().Draw(t, "backups' turn")}
		if turn.Backups && rapid.Bool().Draw(t, "enough before") {
			turn.Since = now.Add(-rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(t, "ago"))
		}
		d := Decide(cands, rules, turn, now)
		if len(d.Eligible) != len(cands) || len(d.Why) != len(cands) || len(d.Percent) != len(cands) {
			t.Fatalf("%d candidates, %d eligible, %d why, %d percent", len(cands), len(d.Eligible), len(d.Why), len(d.Percent))
		}
		if (len(d.Takes) == 0) != (d.Tier == None) {
			t.Fatalf("tier %s with %v", d.Tier, d.Takes)
		}
		taking, last := map[int]bool{}, -1
		for _, i := range d.Takes {
			if i <= last {
				t.Fatalf("takes not ascending: %v", d.Takes)
			}
			last, taking[i] = i, true
		}
		for i, c := range cands {
			h := Effective(c.Health, c.Override)
			if d.Why[i] == "" {
				t.Fatalf("%v is not told why", c)
			}
			if d.Eligible[i] && !taking[i] && d.Tier != Backup {
				t.Fatalf("%v is eligible and takes nothing", c)
			}
			if taking[i] != (d.Percent[i] > 0) || taking[i] && len(taking) == 1 && d.Percent[i] != 100 {
				t.Fatalf("%v takes new flows: %v, with %d %% of its weight", c, taking[i], d.Percent[i])
			}
			if !taking[i] {
				continue
			}
			switch {
			case c.Mode == lb.Reject || c.Mode == lb.Drain:
				t.Fatalf("%s takes new flows", c.Mode)
			case c.Mode == lb.Backup && d.Tier != Backup:
				t.Fatalf("a backup takes new flows in tier %s", d.Tier)
			case c.Mode == lb.Accept && d.Tier == Backup:
				t.Fatal("a primary takes new flows in the backup tier")
			case h == lb.Down && d.Tier != Open:
				t.Fatalf("a node that is DOWN takes new flows in tier %s", d.Tier)
			case d.Tier == Open && (on != lb.NoBackendOpen || h != lb.Down):
				t.Fatalf("tier open with on_no_backend %s and health %s", on, h)
			}
		}
	})
}
