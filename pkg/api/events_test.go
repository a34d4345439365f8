package api

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/events"
)

func TestEventQueriesComeAsTheyWereSent(t *testing.T) {
	f := newFake()
	f.happened = []events.Event{{Seq: 1, Kind: events.Health, Text: "one <two>"}}
	c := serve(t, f)
	q := EventQuery{Filter: events.Filter{Kinds: []events.Kind{events.Health, events.Tier}, Config: "web/80", Node: "web/80/a&b", After: 7}, Limit: 3}
	var got []events.Event
	for e, err := range c.Events(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if diff := cmp.Diff(f.happened, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(q, f.eventQuery); diff != "" {
		t.Error(diff)
	}
}

func TestAFollowerGetsEachEventAsItComes(t *testing.T) {
	f := newFake()
	f.more = make(chan events.Event)
	c := serve(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	came := make(chan events.Event)
	go func() {
		defer close(came)
		for e := range c.Events(ctx, EventQuery{Follow: true}) {
			if e.Seq != 0 {
				came <- e
			}
		}
	}()
	for i := range uint64(3) { // the next is sent only when the one before has arrived
		f.more <- events.Event{Seq: i + 1}
		if e := <-came; e.Seq != i+1 {
			t.Errorf("event %d, want %d", e.Seq, i+1)
		}
	}
	cancel()
	if e, more := <-came; more {
		t.Errorf("after the end: %+v", e)
	}
}

func TestEventQueriesAreRefused(t *testing.T) {
	for path, reason := range map[string]string{
		"/events?kind=health,wealth": `must be one of daemon, file`,
		"/events?after=x":            "must be the number of an event",
		"/events?limit=-1":           "must be a number from 0",
	} {
		if w := do(newFake(), "GET", path, ""); w.Code != 400 || !strings.Contains(w.Body.String(), reason) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
