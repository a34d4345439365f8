package lb

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurationsAreWrittenAsPeopleDo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Hour: "1h", time.Minute: "1m", 16 * time.Second: "16s", 90 * time.Second: "1m30s",
		time.Hour + time.Second: "1h0m1s", 90 * time.Minute: "1h30m", 250 * time.Millisecond: "250ms", 10 * time.Hour: "10h",
		10 * time.Minute: "10m", 70 * time.Second: "1m10s",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestEveryDurationIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		if rapid.Bool().Draw(t, "whole seconds") {
			d = d.Truncate(time.Second)
		}
		if got, err := time.ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Fatalf("%v: %s: %v, %v", d, FormatDuration(d), got, err)
		}
	})
}

func TestBothEndsOfALimitAreInside(t *testing.T) {
	for v, inside := range map[int64]bool{0: false, 1: true, 255: true, 256: false} {
		if got := WeightLimit.Reason(v) == ""; got != inside {
			t.Errorf("%d: %v", v, got)
		}
	}
}
