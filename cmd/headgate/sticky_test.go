package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

func TestStickyRemoveAsksBeforeItTakesAll(t *testing.T) {
	f := busy()
	daemonOn(t, f)
	if o := command(t, "sticky", "remove"); o.code != exitFailed || !strings.Contains(o.stderr, "say --yes") || f.stuck != (api.StickQuery{}) {
		t.Errorf("where nobody can be asked: %+v, and the daemon was told %+v", o, f.stuck)
	}
	ask := env{stdin: strings.NewReader("no\n"), terminal: true}
	if o := commandIn(t, ask, "sticky", "remove"); o.code != exitFailed || f.stuck != (api.StickQuery{}) {
		t.Errorf("after no: %+v, and the daemon was told %+v", o, f.stuck)
	}
	ask.stdin = strings.NewReader("yes\n")
	if o := commandIn(t, ask, "sticky", "remove"); o.code != exitDone || f.stuck != (api.StickQuery{All: true}) {
		t.Errorf("after yes: %+v, and the daemon was told %+v", o, f.stuck)
	}
	for line, want := range map[string]api.StickQuery{
		"sticky remove --yes":                        {All: true},
		"sticky remove --client 198.51.100.7":        {Client: netip.MustParseAddr("198.51.100.7")},
		"sticky remove --node web/80/web-1 -o json":  {Node: "web/80/web-1"},
		"sticky remove --config web/80":              {Config: "web/80"},
		"sticky list --client 2001:db8::1 --limit 3": {Client: netip.MustParseAddr("2001:db8::1"), Limit: 3},
	} {
		o := command(t, strings.Fields(line)...)
		if o.code != exitDone || f.stuck != want {
			t.Errorf("%s: %d %q, and the daemon was told %+v, want %+v", line, o.code, o.stderr, f.stuck, want)
		}
		if strings.HasPrefix(line, "sticky remove") && !strings.Contains(o.out, "2") {
			t.Errorf("%s: %q", line, o.out)
		}
	}
	f.sticks = f.sticks[:1]
	if o := command(t, "sticky", "remove", "--yes"); o.out != "1 stick entry removed\n" {
		t.Errorf("%+v", o)
	}
}

func TestWrongUseOfSticky(t *testing.T) {
	daemonOn(t, busy())
	for line, want := range map[string]string{
		"sticky":                        "",
		"sticky list web/80":            `sticky list takes no argument (got "web/80")`,
		"sticky list --client nobody":   "--client nobody: must be an IP address",
		"sticky list --limit -1":        "--limit -1: must be 0 or more",
		"sticky list -o text":           "-o text: must be table, json or yaml",
		"sticky remove 198.51.100.7":    `sticky remove takes no argument (got "198.51.100.7")`,
		"sticky remove --client nobody": "--client nobody: must be an IP address",
		"sticky away":                   `sticky has no command "away"`,
	} {
		o := command(t, strings.Fields(line)...)
		if want != "" && (o.code != exitUsage || !strings.HasPrefix(o.stderr, "headgate: "+want)) {
			t.Errorf("%s: %d %q, want %q", line, o.code, o.stderr, want)
		}
	}
}

func TestADrainingNodeShowsTheClientsThatStick(t *testing.T) {
	n := api.Node{Mode: "drain", Health: "UP", StickEntries: 1200}
	if got := note(n, time.Now()); got != "no flows, 1,200 stick entries left" {
		t.Error(got)
	}
	n.StickEntries = 1
	if got := note(n, time.Now()); got != "no flows, 1 stick entry left" {
		t.Error(got)
	}
	n.StickEntries = 0
	if got := note(n, time.Now()); got != "drained" {
		t.Error(got)
	}
}
