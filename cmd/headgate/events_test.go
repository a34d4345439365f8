package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/store"
)

func eventful() *fakeDaemon {
	at := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.Local)
	f := busy()
	f.happened = []events.Event{
		{Seq: 1, Time: at, Kind: events.Daemon, To: "started", Text: "ready: version 1.2.3"},
		{Seq: 2, Time: at.Add(time.Second), Kind: events.Health, Config: "web/80", Node: "web/80/web-1", From: "UP", To: "DOWN",
			Text: "web/80/web-1 is DOWN: connection refused"},
		{Seq: 3, Time: at.Add(2 * time.Second), Kind: events.Tier, Config: "web/80", From: "primary", To: "none",
			Text: "web/80 (2001:db8::10): new flows are refused"},
	}
	return f
}

func TestEventsAreListed(t *testing.T) {
	f := eventful()
	daemonOn(t, f)
	o := command(t, "events")
	if o.code != exitDone {
		t.Fatalf("%+v", o)
	}
	golden(t, "events", o.out)
	if f.events.Limit != eventsLimit || f.events.Follow {
		t.Errorf("%+v", f.events)
	}
	o = command(t, "events", "-f", "--kind", "health,tier", "--config", "web/80", "--limit", "0", "-o", "json")
	var first events.Event
	if err := json.Unmarshal([]byte(strings.Split(o.out, "\n")[0]), &first); err != nil || first.Seq != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	want := api.EventQuery{Filter: events.Filter{Kinds: []events.Kind{events.Health, events.Tier}, Config: "web/80"}, Follow: true}
	if diff := cmp.Diff(want, f.events); diff != "" {
		t.Error(diff)
	}
	for name, args := range map[string][]string{"web/99": {"--config", "web/99"}, "web/80/web-9": {"--node", "web/80/web-9"}} {
		if o := command(t, append([]string{"events"}, args...)...); o.code != exitDone || !strings.Contains(o.stderr, name) ||
			!strings.HasSuffix(o.stderr, "; looking for what was told of it before\n") {
			t.Errorf("of what is not there: %+v", o)
		}
	}
	if o := command(t, "events", "--kind", "drained"); o.out != "no events\n" {
		t.Errorf("none: %+v", o)
	}
}

func TestEventsOfADeadDaemonAreReadFromTheDisk(t *testing.T) {
	noDaemon(t)
	dir := t.TempDir()
	if o := command(t, "events", "--state-dir", dir); o.code != exitFailed || !strings.Contains(o.stderr, "none has kept events in "+dir) {
		t.Errorf("nothing there: %+v", o)
	}
	a, _, err := store.OpenArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Append(eventful().happened); err != nil {
		t.Fatal(err)
	}
	a.Close()
	o := command(t, "events", "--state-dir", dir, "--limit", "1")
	if o.code != exitDone || !strings.Contains(o.out, "are refused") || strings.Contains(o.out, "ready") || !strings.Contains(o.stderr, "no daemon answers") {
		t.Errorf("%+v", o)
	}
	if o := command(t, "events", "-f", "--state-dir", dir); o.code != exitFailed {
		t.Errorf("nobody to follow: %+v", o)
	}
}

func TestWrongQuestionsForEvents(t *testing.T) {
	for _, args := range [][]string{
		{"events", "--kind", "wealth"}, {"events", "--limit", "-1"}, {"events", "-f", "-o", "yaml"}, {"events", "web/80"},
	} {
		if o := command(t, args...); o.code != exitUsage || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%v: %+v", args, o)
		}
	}
}
