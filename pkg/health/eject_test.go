package health

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var ejectKey = node(1)

func failing(inARow int, at time.Time) Failure {
	return Failure{Key: ejectKey, How: "refused", InARow: inARow, At: at}
}

// lengthOf has a node fail and returns how long it is ejected for that; 0: not at all.
func lengthOf(e *Ejector, inARow int, at time.Time) time.Duration {
	e.Fail(failing(inARow, at))
	now, ejected := e.Ejections(at)[ejectKey]
	if !ejected {
		return 0
	}
	return now.Until.Sub(at)
}

func TestThreeFailuresInARowEject(t *testing.T) {
	e, now := NewEjector(), time.Unix(1_800_000_000, 0)
	for inARow, want := range []time.Duration{1: 0, 2: 0, 3: 10 * time.Second} {
		if got := lengthOf(e, inARow, now); got != want {
			t.Errorf("%d in a row: ejected for %s, want %s", inARow, got, want)
		}
	}
	select {
	case <-e.Changes():
	default:
		t.Error("nobody was told")
	}
	const want = "ejected for 10s: 3 connections in a row failed, the last was refused"
	if got := e.Ejections(now)[ejectKey].Reason(); got != want {
		t.Errorf("the reason is %q", got)
	}
	if all := e.Ejections(now.Add(10 * time.Second)); len(all) != 0 {
		t.Errorf("after ten seconds: %v", all)
	}
}

func TestEjectionsDoubleUpToFiveMinutesAndStartAnewAfterwards(t *testing.T) {
	e, now := NewEjector(), time.Unix(1_800_000_000, 0)
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 300, 300, 300} {
		got := lengthOf(e, 3+i, now)
		if got != want*time.Second {
			t.Fatalf("ejection %d is for %s, want %d s", i+1, got, want)
		}
		if again := e.Ejections(now.Add(got))[ejectKey]; again.Times != 0 {
			t.Fatalf("ejection %d does not end", i+1)
		}
		now = now.Add(got + time.Second)
	}
	if e.Total() != 8 {
		t.Errorf("%d ejections, want 8", e.Total())
	}
	now = now.Add(ejectForget)
	if got := lengthOf(e, 3, now); got != ejectFirst {
		t.Errorf("after five minutes without one: for %s", got)
	}
}

func TestFailuresOfAnEjectedNodeDoNotCount(t *testing.T) {
	e, now := NewEjector(), time.Unix(1_800_000_000, 0)
	until := now.Add(lengthOf(e, 3, now))
	for s := range 10 {
		e.Fail(failing(4+s, now.Add(time.Duration(s)*time.Second)))
	}
	if got := e.Ejections(now)[ejectKey]; !got.Until.Equal(until) || got.Times != 1 || e.Total() != 1 {
		t.Errorf("it is %+v", got)
	}
}

func TestAnEjectedNodeThatTakesConnectionsIsBackAtOnce(t *testing.T) {
	e, now := NewEjector(), time.Unix(1_800_000_000, 0)
	lengthOf(e, 3, now)
	<-e.Changes()
	e.End(ejectKey, now.Add(time.Second))
	if all := e.Ejections(now.Add(time.Second)); len(all) != 0 {
		t.Errorf("it is ejected: %v", all)
	}
	<-e.Changes()
	if got := lengthOf(e, 3, now.Add(2*time.Second)); got != 2*ejectFirst {
		t.Errorf("the next one is for %s", got)
	}
}

// TestNobodyIsEjectedWithoutThreeInARow and never for less than ten seconds or longer than five minutes.
func TestNobodyIsEjectedWithoutThreeInARow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, now := NewEjector(), time.Unix(1_800_000_000, 0)
		for range rapid.IntRange(1, 100).Draw(t, "failures") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "pause")))
			inARow := rapid.IntRange(1, 5).Draw(t, "in a row")
			_, before := e.Ejections(now)[ejectKey]
			length := lengthOf(e, inARow, now)
			if !before && (inARow >= EjectAfter) != (length > 0) {
				t.Fatalf("%d in a row: for %s", inARow, length)
			}
			if length > ejectMost || !before && length > 0 && length < ejectFirst {
				t.Fatalf("for %s", length)
			}
		}
	})
}
