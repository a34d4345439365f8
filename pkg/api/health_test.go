package api

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHealthIsToldAsItWasAskedFor(t *testing.T) {
	f := newFake()
	at, took := time.Date(2026, 1, 2, 3, 4, 5, 6000000, time.UTC), 1.5
	f.healths = []NodeHealth{{
		Node: Node{Name: "web/80/web-1", Health: "DOWN", Reason: "<refused>", Override: "up"}, Check: "http", IntervalMS: 2000, Since: &at,
		DurationMS: &took, Streak: -2, Recent: "+--", History: []CheckResult{{At: at, DurationMS: 1.5, Reason: "<refused>"}, {At: at, OK: true}},
	}}
	c := serve(t, f)
	q := HealthQuery{Config: "web/80/udp", Node: "web/80/a&b"}
	got, err := c.Health(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.healths, got); diff != "" {
		t.Error(diff)
	}
	if f.healthQuery != q {
		t.Errorf("asked for %+v", f.healthQuery)
	}
}
