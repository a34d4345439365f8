package health

import (
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// feed runs a machine over a string of results: + success, - failure.
func feed(m machine, results string, attempts, rise int) machine {
	for i, r := range results {
		at := noon.Add(time.Duration(i+1) * time.Second)
		if r == '+' {
			m.succeed(at, time.Millisecond, rise)
		} else {
			m.fail(at, time.Millisecond, "connection refused", attempts)
		}
	}
	return m
}

func TestHealthIsFoundByCounting(t *testing.T) {
	for _, c := range []struct {
		name           string
		from           lb.Health
		results        string
		attempts, rise int
		want           lb.Health
		reason         string
	}{
		{"E14/unknown at first", lb.Unknown, "", 3, 1, lb.Unknown, "not checked yet"},
		{"E14/one success is enough", lb.Unknown, "+", 3, 5, lb.Up, ""},
		{"E14/one success is enough after failures", lb.Unknown, "--+", 3, 5, lb.Up, ""},
		{"unknown needs all attempts", lb.Unknown, "--", 3, 1, lb.Unknown, "2 of 3 checks failed: connection refused"},
		{"unknown to down", lb.Unknown, "---", 3, 1, lb.Down, "connection refused"},
		{"one attempt", lb.Up, "-", 1, 1, lb.Down, "connection refused"},
		{"not yet down", lb.Up, "--", 3, 1, lb.Up, "2 of 3 checks failed: connection refused"},
		{"down", lb.Up, "---", 3, 1, lb.Down, "connection refused"},
		{"a success starts the count anew", lb.Up, "--+--", 3, 1, lb.Up, "2 of 3 checks failed: connection refused"},
		{"a success clears the reason", lb.Up, "--+", 3, 1, lb.Up, ""},
		{"down stays", lb.Down, "-----", 3, 1, lb.Down, "connection refused"},
		{"rise 1", lb.Down, "+", 3, 1, lb.Up, ""},
		{"rise 3, not yet", lb.Down, "++", 3, 3, lb.Down, ""},
		{"rise 3", lb.Down, "+++", 3, 3, lb.Up, ""},
		{"a failure starts the rise anew", lb.Down, "++-++", 3, 3, lb.Down, "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine{health: c.from, since: noon}
			if c.from == lb.Unknown {
				m.reason = notChecked
			}
			m = feed(m, c.results, c.attempts, c.rise)
			if m.health != c.want || m.reason != c.reason {
				t.Errorf("%s %q, want %s %q", m.health, m.reason, c.want, c.reason)
			}
		})
	}
}

// The machine counts as it goes; this looks back over all results instead.
func TestHealthAgreesWithTheWholeHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempts, rise := rapid.IntRange(1, 5).Draw(t, "attempts"), rapid.IntRange(1, 5).Draw(t, "rise")
		results := rapid.StringMatching(`[+-]{0,40}`).Draw(t, "results")
		want := lb.Unknown
		since := noon
		for i := range results {
			before := want
			switch run := trailing(results[:i+1]); {
			case run > 0 && want == lb.Unknown, run >= rise:
				want = lb.Up
			case -run >= attempts:
				want = lb.Down
			}
			if want != before {
				since = noon.Add(time.Duration(i+1) * time.Second)
			}
		}
		m := feed(machine{health: lb.Unknown, since: noon}, results, attempts, rise)
		if m.health != want || !m.since.Equal(since) {
			t.Fatalf("%s since %v after %q (attempts %d, rise %d), want %s since %v",
				m.health, m.since, results, attempts, rise, want, since)
		}
	})
}

// trailing is the length of the run of equal results at the end, negative for failures.
func trailing(results string) int {
	n := 0
	for i := len(results) - 1; i >= 0 && results[i] == results[len(results)-1]; i-- {
		n++
	}
	if results[len(results)-1] == '-' {
		return -n
	}
	return n
}

func TestE14KnownHealthOutlivesARestartForTwoIntervals(t *testing.T) {
	check := lb.Check{Type: lb.CheckConnection, Interval: 5 * time.Second}
	for _, c := range []struct {
		name    string
		initial lb.Health
		age     time.Duration
		want    lb.Health
	}{
		{"up", lb.Up, 3 * time.Second, lb.Up},
		{"down", lb.Down, 10 * time.Second, lb.Down},
		{"too old", lb.Up, 10*time.Second + 1, lb.Unknown},
		{"the clock was set back a little", lb.Down, -10 * time.Second, lb.Down},
		{"the clock was set back", lb.Down, -10*time.Second - 1, lb.Unknown},
		{"unknown", lb.Unknown, time.Second, lb.Unknown},
		{"nothing", "", 0, lb.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := begin(Target{Check: &check, Initial: c.initial, InitialAt: noon.Add(-c.age)}, noon)
			if m.health != c.want {
				t.Errorf("begins %s, want %s", m.health, c.want)
			}
			if m.health != lb.Up && m.reason == "" {
				t.Errorf("%s without a reason", m.health)
			}
		})
	}
	if m := begin(Target{Check: &check, Initial: lb.Up}, noon); m.health != lb.Unknown {
		t.Errorf("begins %s though nobody knows since when", m.health)
	}
}

func TestNodeInTransitionIsToldFromOneThatIsSettled(t *testing.T) {
	for results, want := range map[string]bool{
		"": true, "-": true, "--": true, "---": false, "+": false, "+-": true, "+-+": false, "---+": true, "---++": false,
	} {
		m := feed(machine{health: lb.Unknown}, results, 3, 2)
		if m.inTransition() != want {
			t.Errorf("after %q (%s): in transition is %v", results, m.health, !want)
		}
	}
}

func TestThatItCouldNotBeCheckedSaysNothingAboutANode(t *testing.T) {
	m := feed(machine{health: lb.Unknown}, "+--", 3, 1)
	before := m
	m.undecided("cannot check: too many open files")
	if m != before {
		t.Errorf("%+v became %+v", before, m)
	}
	m = machine{health: lb.Unknown, reason: notChecked}
	m.undecided("cannot check: too many open files")
	if m.health != lb.Unknown || m.reason != "cannot check: too many open files" {
		t.Errorf("%+v", m)
	}
}
