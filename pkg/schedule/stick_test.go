package schedule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/lb"
)

// TestModeMatrixOfClientsThatStick has the rows of the normative table for a new flow whose client has a stick
// entry to the first candidate.
func TestModeMatrixOfClientsThatStick(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cands []Candidate
		want  bool
	}{
		{"row1/accept-up", []Candidate{acceptUp, acceptUp}, true},
		{"row2/accept-unknown", []Candidate{acceptUnknown, acceptUp}, false},
		{"row3/accept-down", []Candidate{acceptDown, acceptUp}, false},
		{"row4/drain-up", []Candidate{drainUp, acceptUp}, true},
		{"row4/drain-up-with-nothing-eligible", []Candidate{drainUp, acceptDown, rejectUp}, true},
		{"row4/drain-up-while-the-backups-serve", []Candidate{drainUp, backupUp}, true},
		{"row5/drain-down", []Candidate{drainDown, acceptUp}, false},
		{"row6/reject", []Candidate{rejectUp, acceptUp}, false},
		{"row6/reject-whatever-its-override", []Candidate{rejectUp.override(lb.OverrideUp), acceptUp}, false},
		{"row7/backup-up", []Candidate{backupUp, acceptUp}, false},
		{"row8/backup-up-and-active", []Candidate{backupUp, acceptDown}, true},
		{"row9/backup-down", []Candidate{backupDown, acceptDown, backupUp}, false},
		{"row11/nothing", []Candidate{acceptDown, acceptDown}, false},

		{"E14/all-unknown", []Candidate{acceptUnknown, acceptUnknown}, true},
		{"E14/drain-unknown-beside-unknown-primaries", []Candidate{drainUnknown, acceptUnknown}, true},
		{"E14/drain-unknown-beside-a-known-primary", []Candidate{drainUnknown, acceptUnknown, acceptUp}, false},
		{"E14/drain-unchecked", []Candidate{drainUnknown.unchecked(), acceptUp}, true},
		{"E26/override-up-in-drain", []Candidate{drainDown.override(lb.OverrideUp), acceptUp}, true},
		{"E26/override-down-in-drain", []Candidate{drainUp.override(lb.OverrideDown), acceptUp}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, o := range []lb.OnNoBackend{lb.NoBackendReset, lb.NoBackendDrop} {
				if got := Decide(tt.cands, Rules{OnNoBackend: o}, Turn{}, time.Time{}).Sticks[0]; got != tt.want {
					t.Errorf("%s: %v, want %v", o, got, tt.want)
				}
			}
		})
	}
}

func TestWhoTakesNewFlowsTakesThoseThatStick(t *testing.T) {
	d := Decide([]Candidate{acceptDown, drainDown, acceptDown}, Rules{OnNoBackend: lb.NoBackendOpen}, Turn{}, time.Time{})
	if diff := cmp.Diff([]bool{true, false, true}, d.Sticks); diff != "" {
		t.Error(diff)
	}
}
