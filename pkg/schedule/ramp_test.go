package schedule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestE22RampGrowsFromTenToAHundredPercent(t *testing.T) {
	for _, over := range []time.Duration{time.Second, 90 * time.Second, time.Hour, 7 * time.Nanosecond} {
		var got []int
		at := time.Duration(0)
		for {
			percent, next := Ramp(at, over)
			got = append(got, percent)
			if next == 0 {
				break
			}
			if before, _ := Ramp(at+next-1, over); before != percent {
				t.Errorf("%s over %s: %d %% before its time", at, over, before)
			}
			at += next
		}
		if at != over {
			t.Errorf("over %s: all of it after %s", over, at)
		}
		if over > 10 {
			if diff := cmp.Diff([]int{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, got); diff != "" {
				t.Errorf("over %s: %s", over, diff)
			}
		}
	}
	if percent, next := Ramp(time.Minute, 0); percent != 100 || next != 0 {
		t.Errorf("without slow start: %d %%, then %s", percent, next)
	}
	if percent, _ := Ramp(-time.Minute, time.Minute); percent != 10 {
		t.Errorf("with a clock that was set back: %d %%", percent)
	}
}

func TestE22TheOnlyOneHasAllOfItsWeight(t *testing.T) {
	slow := acceptUp
	slow.Ramp = 40
	d := Decide([]Candidate{slow, acceptDown}, Rules{}, Turn{}, time.Time{})
	if d.Percent[0] != 100 || d.Why[0] != "takes new flows: UP" {
		t.Errorf("alone: %d %%, %s", d.Percent[0], d.Why[0])
	}
	d = Decide([]Candidate{slow, acceptUp}, Rules{}, Turn{}, time.Time{})
	if diff := cmp.Diff([]int{40, 100}, d.Percent); diff != "" || d.Why[0] != "takes new flows: slow start: 40 % of its weight" {
		t.Errorf("beside another: %s, %s", diff, d.Why[0])
	}
}
