package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
)

var update = flag.Bool("update", false, "write the outputs that tests compare with")

// golden compares an output with testdata/NAME.txt.
func golden(t *testing.T, name, got string) {
	t.Helper()
	// Times that pass while the test runs.
	got = regexp.MustCompile(`up \S+|read \S+ ago`).ReplaceAllString(got, "TIME")
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", path, diff)
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > usualColumns && !strings.HasPrefix(line, "  !") {
			t.Errorf("%s: %d columns: %s", name, n, line)
		}
	}
}

func TestWhatTheListingsLookLike(t *testing.T) {
	daemonOn(t, busy())
	for name, line := range map[string]string{
		"balancer_list": "balancer list", "balancer_show": "balancer show web", "balancer_empty": "balancer show a-label-of-thirty-two-characters",
		"config_list": "config list", "config_show": "config show web/80",
		"status": "status", "node_list": "node list", "node_show": "node show web/80/web-1", "flows": "flows", "sticky_list": "sticky list",
		"flows_count": "flows --count", "maps_list": "maps list", "maps_dump": "maps dump nodes",
		"node_show_yaml": "node show web/80/web-2 -o yaml",
	} {
		o := command(t, strings.Fields(line)...)
		if o.code != exitDone || o.stderr != "" {
			t.Errorf("%s: %d %q", line, o.code, o.stderr)
		}
		golden(t, name, o.out)
	}
}

func TestEveryListingSpeaksJSONAndYAML(t *testing.T) {
	daemonOn(t, busy())
	for _, line := range []string{"status", "balancer list", "balancer show web", "config list", "config show web/80", "node list", "node show web/80/web-1", "flows", "flows --count", "sticky list", "maps list", "maps dump nodes", "version"} {
		o := command(t, append(strings.Fields(line), "-o", "json")...)
		if o.code != exitDone || !json.Valid([]byte(o.out)) {
			t.Errorf("%s -o json: %d %s %s", line, o.code, o.out, o.stderr)
		}
		if o := command(t, append(strings.Fields(line), "-o", "yaml")...); o.code != exitDone || strings.ContainsAny(o.out, "{") {
			t.Errorf("%s -o yaml: %d %s %s", line, o.code, o.out, o.stderr)
		}
	}
	var st api.Status
	if err := json.Unmarshal([]byte(command(t, "status", "-o", "json").out), &st); err != nil || st.ActiveFlows != 1234567 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestJSONKeepsWhatPeopleRead(t *testing.T) {
	f := busy()
	const odd = "3>02:00 <&"
	f.status.Configs[0].Nodes[0].NextHop = odd
	f.flows[0].NodeName = odd
	daemonOn(t, f)
	for _, line := range []string{"status -o json", "node show web/80/web-1 -o json", "flows -o json", "node list -o yaml"} {
		if o := command(t, strings.Fields(line)...); !strings.Contains(o.out, odd) {
			t.Errorf("%s lacks %q: %s %s", line, odd, o.out, o.stderr)
		}
	}
}

func TestEmptyListingsAreListsToo(t *testing.T) {
	daemonOn(t, &fakeDaemon{})
	for _, line := range []string{"flows", "flows --count", "sticky list", "balancer list", "config list", "node list", "maps list"} {
		if o := command(t, append(strings.Fields(line), "-o", "json")...); !strings.HasPrefix(o.out, "[]") && o.out != "null\n" {
			t.Errorf("%s: %q %q", line, o.out, o.stderr)
		}
	}
}

func TestANodeInRejectIsNotSaidToHaveNeverBeenChecked(t *testing.T) {
	daemonOn(t, busy())
	for name, want := range map[string]string{
		"web/80/web-2": "checked          not checked in mode reject\n",
		"web/80/web-3": "checked          never\n",
	} {
		if o := command(t, "node", "show", name); !strings.Contains(o.out, want) {
			t.Errorf("%s: %q, want %q in it", name, o.out, want)
		}
	}
}

func TestNodeSetSaysWhichGenerationItMade(t *testing.T) {
	f := busy()
	daemonOn(t, f)
	if o := command(t, "node", "set", "web/80/web-1", "--mode", "drain"); o.out != "web/80/web-1: mode drain (generation 8, applied 7: --wait waits for it)\n" {
		t.Errorf("%+v", o)
	}
	if o := command(t, "node", "set", "web/80/web-1", "--weight", "9", "--wait"); o.out != "web/80/web-1: weight 9 (generation 8, applied)\n" {
		t.Errorf("%+v", o)
	}
	if o := command(t, "node", "set", "web/80/web-1", "--override", "down"); o.out != "web/80/web-1: override down (generation 8, applied 7: --wait waits for it)\n" {
		t.Errorf("%+v", o)
	}
	var got []string
	for _, e := range f.edits {
		for key, value := range e.Values {
			got = append(got, fmt.Sprintf("%s %s %s %s %s", e.Action, e.Kind, e.Name, key, *value))
		}
	}
	want := []string{"change node web/80/web-1 mode drain", "change node web/80/web-1 weight 9", "change node web/80/web-1 override down"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	o := command(t, "node", "set", "web/80/web-9", "--mode", "drain")
	if o.code != exitFailed || o.stderr != "headgate: web/80/web-9: no such node (have: web/80/web-1, web/80/web-2, web/80/web-3)\n" {
		t.Errorf("%+v", o)
	}
}

func TestUntilDrainedReturnsWithTheLastFlow(t *testing.T) {
	f := busy()
	f.drain = []uint64{12, 12, 3, 0} // the first for the look before the change
	daemonOn(t, f)
	o := command(t, "node", "set", "web/80/web-1", "--mode", "drain", "--until-drained")
	if o.code != exitDone || o.out != "web/80/web-1: drained\n" {
		t.Errorf("%+v", o)
	}
	if want := "web/80/web-1: 12 flows left\nweb/80/web-1: 3 flows left\n"; o.stderr != want {
		t.Errorf("%q, want %q", o.stderr, want)
	}
}

// Clients that stick to a node may come again: who waits for the end of its flows waits for that of their entries,
// unless they say otherwise.
func TestUntilDrainedWaitsForStickEntriesToo(t *testing.T) {
	f := busy()
	f.drain, f.release = []uint64{2, 2, 0, 0, 0}, []uint64{2, 2, 2, 1, 0}
	daemonOn(t, f)
	o := command(t, "node", "set", "web/80/web-1", "--mode", "drain", "--until-drained")
	if o.code != exitDone || o.out != "web/80/web-1: drained\n" {
		t.Errorf("%+v", o)
	}
	lines := strings.Split(o.stderr, "\n")
	if len(lines) != 4 || lines[0] != "web/80/web-1: 2 flows and 2 stick entries left" || lines[2] != "web/80/web-1: 1 stick entry left" {
		t.Errorf("%q", o.stderr)
	}
	if want := "web/80/web-1: 2 stick entries left, the last until "; !strings.HasPrefix(lines[1], want) || f.stuck.Node != "web/80/192.0.2.11:8080" {
		t.Errorf("%q, want %q…; asked for %+v", lines[1], want, f.stuck)
	}
	f.drain, f.release = []uint64{1, 1, 0}, []uint64{3}
	o = command(t, "node", "set", "web/80/web-1", "--mode", "drain", "--until-drained", "--flows-only")
	if o.code != exitDone || o.out != "web/80/web-1: no flow is left; 3 stick entries may bring others\n" {
		t.Errorf("%+v", o)
	}
}

func TestUntilDrainedGivesUp(t *testing.T) {
	daemonOn(t, busy())
	o := command(t, "node", "set", "web/80/web-1", "--until-drained")
	if o.code != exitFailed || !strings.Contains(o.stderr, "takes new flows (mode accept) and so never drains") {
		t.Errorf("in mode accept: %+v", o)
	}
	o = command(t, "node", "set", "web/80/web-1", "--mode", "drain", "--until-drained", "--timeout", "50ms")
	if o.code != exitFailed || !strings.Contains(o.stderr, "12 flows left when time was up") {
		t.Errorf("after the timeout: %+v", o)
	}
}

func TestUntilDrainedFollowsANodeThatIsRemoved(t *testing.T) {
	f := busy()
	f.drain = []uint64{12, 2, 0}
	daemonOn(t, f)
	o := command(t, "node", "remove", "web/80/192.0.2.11:8080", "--yes", "--until-drained")
	if o.code != exitDone || o.out != "web/80/192.0.2.11:8080: removed and drained\n" || o.stderr != "web/80/192.0.2.11:8080: 2 flows left\n" {
		t.Errorf("%+v", o)
	}
}

func TestFlowsAsksForWhatIsWanted(t *testing.T) {
	f := busy()
	daemonOn(t, f)
	command(t, "flows", "--config", "web/80", "--node", "web/80/web-1", "--client", "2001:db8::7", "--state", "udp", "--limit", "3")
	want := api.FlowQuery{Config: "web/80", Node: "web/80/web-1", Client: netip.MustParseAddr("2001:db8::7"), State: "udp", Limit: 3}
	if f.asked != want {
		t.Errorf("%+v, want %+v", f.asked, want)
	}
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const good = `
interfaces: [eth0]
balancers:
  - label: web
    ipv4: 203.0.113.10
    configs:
      - port: 80
        nodes:
          - {label: web-1, address: "192.0.2.11:8080"}
`

func TestValidateNamesEveryFaultWithItsPlace(t *testing.T) {
	if o := command(t, "validate", write(t, good)); o.code != exitDone || !strings.HasSuffix(o.out, ": good (1 balancer, 1 config, 1 node)\n") {
		t.Errorf("%+v", o)
	}
	apply := strings.Replace(good, "interfaces: [eth0]\n", "", 1)
	if o := command(t, "validate", write(t, apply)); o.code != exitDone || !strings.HasSuffix(o.out, ": good for apply; run needs interfaces (1 balancer, 1 config, 1 node)\n") {
		t.Errorf("%+v", o)
	}
	for content, want := range map[string]string{good: "standard input: good (1 bal", "x: 1": "standard input:1:1: x: unknown key"} {
		if o := commandIn(t, env{stdin: strings.NewReader(content)}, "validate", "-"); !strings.HasPrefix(o.out+o.stderr, want) {
			t.Errorf("%+v, want %q", o, want)
		}
	}
	path := write(t, strings.NewReplacer("port: 80", "port: 0", `8080"`, `8080", weight: 256`, "interfaces", "interface").Replace(good))
	o := command(t, "validate", path)
	lines := strings.Split(strings.TrimSpace(o.stderr), "\n")
	if o.code != exitFailed || len(lines) != 3 || o.out != "" {
		t.Fatalf("%+v", o)
	}
	for i, want := range []string{":2:", ":7:", ":9:"} {
		if !strings.HasPrefix(lines[i], path+want) {
			t.Errorf("%s: want it at line %s", lines[i], want)
		}
	}
}

func TestApplySendsAGoodFileAndShowsThePlan(t *testing.T) {
	f := busy()
	f.applied = api.ApplyResult{
		Generations: api.Generations{Desired: 9, Applied: 9},
		Plan: api.Plan{
			Steps: []api.Step{{Action: api.Change, Kind: "node", Name: "web/80/web-1", Changes: []string{"weight: 50 → 100"}}},
			Moves: []api.ConfigMove{{Config: "web/80", Share: 1.0 / 6}, {Config: "web/443", Share: 1, Down: 2, Refused: true},
				{Config: "web/53/udp", Share: 1, Unserved: []string{"203.0.113.10", "2001:db8::10"}}, {Config: "web/8080", Share: 1, Unserved: []string{"2001:db8::10"}, Refused: true}},
			Flows: []api.NodeFlows{
				{Name: "web/80/web-1", Nodes: 1, Why: "mode drain", Flows: 1234}, {Name: "web/443", Nodes: 2, Why: "removed", Flows: 7, DeadlineMS: ref(int64(300_000))},
				{Name: "web/80/web-2", Nodes: 1, Why: "override down", Flows: 20, Reset: true},
			},
		},
	}
	daemonOn(t, f)
	path := write(t, good)
	o := command(t, "apply", "-f", path, "--prune", "--dry-run")
	if o.code != exitDone {
		t.Errorf("%+v", o)
	}
	golden(t, "apply", o.out)
	if want := (api.ApplyRequest{Name: path, Data: []byte(good), Prune: true, DryRun: true}); cmp.Diff(want, f.request) != "" {
		t.Errorf("%+v", f.request)
	}
	f.applied.Plan = api.Plan{}
	o = commandIn(t, env{stdin: strings.NewReader(good)}, "apply", "-f", "-")
	if o.out != "nothing to change (generation 9)\n" || string(f.request.Data) != good {
		t.Errorf("%+v", o)
	}
}

func TestApplyOfAFaultyFileAsksNobody(t *testing.T) {
	noDaemon(t)
	o := command(t, "apply", "-f", write(t, strings.Replace(good, "80\n", "0\n", 1)))
	if o.code != exitFailed || !strings.Contains(o.stderr, ":7:15: balancers[0].configs[0].port:") {
		t.Errorf("%+v", o)
	}
}

func TestExportPrintsTheFile(t *testing.T) {
	daemonOn(t, busy())
	if o := command(t, "export"); o.out != "balancers: []\n" {
		t.Errorf("%+v", o)
	}
}

// bpffs mounts a bpf filesystem of the test's own: a machine need not have one.
func bpffs(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatalf("mount a bpf filesystem (as root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDetachAsksFirst(t *testing.T) {
	noDaemon(t)
	dir := bpffs(t) + "/hg-nothing-here"
	t.Setenv("HEADGATE_BPFFS", dir)
	if o := command(t, "detach"); o.code != exitFailed || !strings.Contains(o.stderr, "--yes") {
		t.Errorf("where nobody can be asked: %+v", o)
	}
	for _, answer := range []string{"", "n\n", "\n", "yess\n"} {
		o := commandIn(t, env{stdin: strings.NewReader(answer), terminal: true}, "detach")
		if o.code != exitFailed || !strings.Contains(o.stderr, "[y/N]") || !strings.Contains(o.stderr, "nothing was changed") {
			t.Errorf("answer %q: %+v", answer, o)
		}
	}
	for _, args := range [][]string{{"detach"}, {"detach", "--yes"}} {
		o := commandIn(t, env{stdin: strings.NewReader("Y\n"), terminal: true}, args...)
		if o.code != exitDone || !strings.Contains(o.out, "nothing is pinned in "+dir) {
			t.Errorf("%v: %+v", args, o)
		}
	}
}

func TestADaemonThatCannotBeAskedIsNotCalledDead(t *testing.T) {
	for want, err := range map[string]error{
		"does not run": &api.NotRunningError{Err: syscall.ECONNREFUSED},
		"unknown: its socket is for its owner only": &api.NotRunningError{Err: syscall.EACCES},
		"does not answer": context.DeadlineExceeded,
	} {
		if got := describeDaemon(api.Status{}, err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func TestVersionSaysWhatItIs(t *testing.T) {
	daemonOn(t, busy())
	o := command(t, "version")
	for _, part := range []string{"headgate ", "commit ", "go1.", "clang 19", fmt.Sprintf("layout %d", loader.Schema), "kernel ", "1.2.3, pid 42", "pinned "} {
		if !strings.Contains(o.out, part) {
			t.Errorf("%q lacks %q", o.out, part)
		}
	}
	for _, flag := range []string{"--version", "-v"} {
		if again := command(t, flag); again != o {
			t.Errorf("%s: %+v, want %+v", flag, again, o)
		}
		if o := command(t, "status", flag); o.code != exitUsage || !strings.Contains(o.stderr, "stands alone") {
			t.Errorf("status %s: %+v", flag, o)
		}
	}
}
