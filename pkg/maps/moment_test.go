package maps

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A deadline is kept in 32 bits of jiffies, which run round, and is read back to the jiffy by any process.
func TestDeadlinesComeBackToTheJiffy(t *testing.T) {
	everyTables(t, func(t *testing.T, tb Tables, _ *Reader) {
		n := someNode
		n.Status.Actions |= HasDeadline
		must(t, tb.WriteNode(7, n))
		rapid.Check(t, func(t *rapid.T) {
			in := time.Duration(rapid.Int64Range(-int64(7*24*time.Hour), int64(7*24*time.Hour)).Draw(t, "in"))
			want := tb.Moment(time.Now().Add(in))
			if err := tb.WriteDeadline(7, want); err != nil {
				t.Fatal(err)
			}
			got, err := tb.ReadNode(7)
			if late := time.Duration(got.Deadline - want); err != nil || late < 0 && late < -tick || late > 2*tick {
				t.Fatalf("%s from now comes back %s late (%v)", in, late, err)
			}
		})
		n.Status.Actions = Dead
		must(t, tb.WriteStatus(7, n.Status))
		if got, _ := tb.ReadNode(7); got.Deadline != 0 {
			t.Errorf("a deadline that does not count: %d", got.Deadline)
		}
	})
}

const tick = 10 * time.Millisecond // the longest jiffy of any kernel

func TestMomentsAreTimesThatOutliveAProcess(t *testing.T) {
	now := time.Unix(1_800_000_000, 5)
	l := newTimeline(func() time.Time { return now })
	then := now.Add(-time.Hour)
	m := l.Moment(then)
	if got := l.Time(m); !got.Equal(then) || l.Moment(got) != m {
		t.Errorf("%s comes back as %s", then, got)
	}
	now = now.Add(time.Minute)
	if got := l.Time(m); !got.Equal(then) {
		t.Errorf("a minute later %s comes back as %s", then, got)
	}
	if l.Moment(time.Time{}) != 0 || !l.Time(0).IsZero() {
		t.Error("no time is not no Moment")
	}
	// Another process, whose wall clock was set meanwhile: as long ago as it was.
	next := newTimeline(func() time.Time { return now.Add(24 * time.Hour) })
	if ago := now.Add(24 * time.Hour).Sub(next.Time(m)); ago < time.Hour || ago > time.Hour+time.Minute {
		t.Errorf("another process takes it for %s ago", ago)
	}
}
