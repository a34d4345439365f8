package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

// examined is a daemon that has checked its nodes.
func examined() *fakeDaemon {
	f := busy()
	ago := func(d time.Duration) *time.Time { return ref(time.Now().Add(-d)) }
	nodes := f.status.Configs[0].Nodes
	bad := nodes[0]
	bad.Name, bad.Health, bad.Reason, bad.TakesNew, bad.Why = "web/80/web-4", "DOWN", "status 503 (good are 200-399)", false, "takes no new flows: DOWN"
	held := bad
	held.Name, held.Override, held.TakesNew, held.Why = "web/80/web-5", "up", true, "takes new flows: UP by override"
	for i, n := range []api.Node{nodes[0], nodes[1], nodes[2], bad, held} {
		h := api.NodeHealth{Node: n, Check: "http", IntervalMS: 2000}
		switch i {
		case 0:
			h.Since, h.CheckedAt, h.DurationMS, h.Streak, h.Recent = ago(3*time.Hour), ago(2*time.Second), ref(1.4), 20, strings.Repeat("+", 20)
		case 2:
			h.Check = "none"
		case 3, 4:
			h.Since, h.CheckedAt, h.DurationMS, h.Streak, h.Recent = ago(65*time.Second), ago(time.Second), ref(1800.0), -3, "++++---"
		}
		f.healths = append(f.healths, h)
	}
	return f
}

func TestWhatHealthLooksLike(t *testing.T) {
	f := examined()
	daemonOn(t, f)
	for _, args := range [][]string{{"health"}, {"health", "web/80"}} {
		o := command(t, args...)
		if o.code != exitDone || o.stderr != "" {
			t.Errorf("%v: %d %q", args, o.code, o.stderr)
		}
		golden(t, "health_list", o.out)
	}
	if f.health != (api.HealthQuery{Config: "web/80"}) {
		t.Errorf("asked for %+v", f.health)
	}
	one := &f.healths[3]
	for _, ok := range []bool{true, false} {
		r := api.CheckResult{At: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.Local), DurationMS: 1.5, OK: ok}
		if !ok {
			r.Reason = one.Reason
		}
		one.History = append(one.History, r)
	}
	one.Passive = &api.Passive{
		Refused: 12, Unanswered: 1, InARow: 3, LastAt: ref(time.Now().Add(-2 * time.Second)), Last: "refused",
		Ejected: &api.Ejected{Since: time.Now().Add(-12 * time.Second), Until: time.Now().Add(8500 * time.Millisecond), Times: 2},
	}
	f.healths = []api.NodeHealth{*one}
	o := command(t, "health", "web/80/web-4")
	golden(t, "health_node", o.out)
	if f.health != (api.HealthQuery{Node: "web/80/web-4"}) {
		t.Errorf("asked for %+v", f.health)
	}
	if o := command(t, "health", "web/80/web-4", "-o", "json"); !regexp.MustCompile(`(?s)"check": "http".*"streak": -3.*"history": \[.*"ok": true`).MatchString(o.out) {
		t.Errorf("%+v", o)
	}
}

func TestHealthNeedsADaemon(t *testing.T) {
	noDaemon(t)
	if o := command(t, "health"); o.code != exitFailed || !strings.Contains(o.stderr, "no daemon answers") {
		t.Errorf("%+v", o)
	}
	if o := command(t, "health", "a", "b"); o.code != exitUsage || !strings.Contains(o.stderr, "health takes at most one argument") {
		t.Errorf("%+v", o)
	}
}

func TestResultsInARowAreSaidAsPeopleDo(t *testing.T) {
	now := time.Now()
	for streak, want := range map[int]string{
		0: "none since the daemon started", 1: "a success, the last just now", 5: "5 successes in a row, the last just now",
		-1: "a failure, the last just now", -2: "2 failures in a row, the last just now",
	} {
		n := api.NodeHealth{Node: api.Node{CheckedAt: &now}, Streak: streak}
		if got := lastResults(n, now); got != want {
			t.Errorf("%d: %q, want %q", streak, got, want)
		}
	}
	if got := lastResults(api.NodeHealth{}, now); got != "none" {
		t.Errorf("%q", got)
	}
}

func TestWhatConnectionsSayIsSaidAsPeopleDo(t *testing.T) {
	now := time.Now()
	for want, p := range map[string]api.Passive{
		"no connection; ": {},
		"2 refused, 0 unanswered, 1 not reached; none since it took one; ":                                                        {Refused: 2, Unreachable: 1},
		"0 refused, 3 unanswered, 0 not reached; 3 in a row, the last just now (unanswered); for 5s more":                         {Unanswered: 3, InARow: 3, LastAt: &now, Last: "unanswered", Ejected: &api.Ejected{Until: now.Add(5 * time.Second), Times: 1}},
		"3 refused, 0 unanswered, 0 not reached; 3 in a row; no: it fails connections, but no more than half may be out for that": {Refused: 3, InARow: 3, Spared: true},
	} {
		if got := connections(&p, now) + "; " + ejection(&p, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
