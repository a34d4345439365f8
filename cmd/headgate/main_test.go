package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/config"
)

func TestEveryCommandHelpsWithAnExample(t *testing.T) {
	app := newApp(env{})
	var walk func(path []string, commands []*cli.Command)
	walk = func(path []string, commands []*cli.Command) {
		for _, c := range commands {
			path := append(path[:len(path):len(path)], c.Name)
			o := command(t, append(path, "--help")...)
			if o.code != exitDone || !strings.Contains(o.out, "Example") || !strings.Contains(o.out, "headgate "+strings.Join(path, " ")) {
				t.Errorf("%v --help: %d\n%s%s", path, o.code, o.out, o.stderr)
			}
			for line := range strings.Lines(o.out) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > 130 {
					t.Errorf("%v --help: a line of %d: %s", path, n, line)
				}
			}
			walk(path, c.Subcommands)
		}
	}
	walk(nil, app.Commands)
	if o := command(t); o.code != exitDone || !strings.Contains(o.out, "Example") {
		t.Errorf("without a command: %d\n%s", o.code, o.out)
	}
}

func TestWrongUsageIsExitCode2(t *testing.T) {
	noDaemon(t)
	for _, line := range []string{
		"nose",
		"--nose",
		"node", // a help, but see below
		"node nose",
		"node set",
		"node set a/80/b",
		"node set a/80/b c --mode drain",
		"node set a/80/b --nose",
		"node set a/80/b --weight many",
		"node set a/80/b --mode drain --timeout 1m",
		"node set a/80/b --until-drained --timeout -1m",
		"node show",
		"validate",
		"validate a b",
		"apply",
		"apply file",
		"run",
		"run -c x y",
		"run -c x --log-format xml",
		"run -c x --log-level loud",
		"status x",
		"status -o xml",
		"flows --state open",
		"flows --count --sort bytes",
		"flows --client host",
		"flows --limit -1",
		"maps dump",
		"maps nose",
		"version x",
		"export x",
		"detach x",
	} {
		o := command(t, strings.Fields(line)...)
		if line == "node" {
			if o.code != exitDone || !strings.Contains(o.out, "COMMANDS") {
				t.Errorf("%s: %d %s", line, o.code, o.out)
			}
			continue
		}
		if o.code != exitUsage || strings.Count(o.stderr, "\n") != 1 || !strings.HasPrefix(o.stderr, "headgate: ") || !strings.Contains(o.stderr, "--help`)") {
			t.Errorf("%s: %d %q %q", line, o.code, o.out, o.stderr)
		}
		if o.out != "" {
			t.Errorf("%s: wrong usage belongs to stderr alone: %q", line, o.out)
		}
	}
}

func TestWrongUsageSaysWhatIsRight(t *testing.T) {
	noDaemon(t)
	for line, want := range map[string]string{
		"node set a/80/b --weight x":                    "--weight x: must be a number from 1 to 255 in plain digits, not x (see `headgate node set --help`)",
		"node set a/80/b --weight=99999999999999999999": "--weight 99999999999999999999: must be a number from 1 to 255 in plain digits, not 99999999999999999999 (",
		"node set a/80/b --timeout soon":                "--timeout soon: must be a duration such as 30s or 10m (",
		"node set a/80/b --wait=maybe":                  "--wait maybe: takes no value (",
		"flows --limit many":                            "--limit many: must be a number from 0 (",
		"node set":                                      "node set takes one argument, the node as BALANCER/PORT[/udp]/NODE (got 0)",
		"node show a b":                                 "node show takes one argument, ",
		"maps dump":                                     "maps dump takes one argument, ",
		"validate":                                      "validate takes one argument, ",
		"node list x":                                   `node list takes no argument (got "x")`,
	} {
		if o := command(t, strings.Fields(line)...); o.code != exitUsage || !strings.HasPrefix(o.stderr, "headgate: "+want) {
			t.Errorf("%s: %d %q, want %q", line, o.code, o.stderr, want)
		}
	}
}

func TestWithoutADaemonEveryCommandSaysSoInOneLine(t *testing.T) {
	noDaemon(t)
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("balancers: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"status", "node list", "node show a/80/bcd", "node set a/80/bcd --mode drain", "flows", "flows --count",
		"maps list", "maps dump nodes", "export", "apply -f " + file,
	} {
		o := command(t, strings.Fields(line)...)
		if o.code != exitFailed || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, "no daemon answers on") || !strings.Contains(o.stderr, "headgate run -c FILE") {
			t.Errorf("%s: %d %q", line, o.code, o.stderr)
		}
	}
}

func TestFlagsMayStandAnywhere(t *testing.T) {
	daemonOn(t, busy())
	socket := os.Getenv("HEADGATE_SOCKET")
	t.Setenv("HEADGATE_SOCKET", "/nowhere")
	for _, args := range [][]string{
		{"--socket", socket, "node", "set", "web/80/web-1", "--weight", "7"},
		{"node", "set", "web/80/web-1", "--weight=7", "--socket", socket},
		{"node", "set", "--weight", "7", "web/80/web-1", "--wait", "--socket=" + socket},
		{"node", "--socket", socket, "set", "--wait", "web/80/web-1", "--weight", "7"},
	} {
		if o := command(t, args...); o.code != exitDone {
			t.Errorf("%v: %d %s", args, o.code, o.stderr)
		}
	}
}

func TestAVariableThatIsEmptyIsUnset(t *testing.T) {
	valuesOf := func() map[string]string {
		values := map[string]string{}
		keep := func(c *cli.Context) error {
			for _, name := range []string{"socket", "bpffs", "config"} {
				values[name] = c.String(name)
			}
			return nil
		}
		app := newApp(env{stdout: io.Discard, stderr: io.Discard})
		app.Command("run").Action = keep
		if err := app.Run([]string{"headgate", "run"}); err != nil {
			t.Fatal(err)
		}
		return values
	}
	for _, tt := range []struct {
		value string
		want  map[string]string
	}{
		{"", map[string]string{"socket": config.DefaultSocket, "bpffs": config.DefaultBPFFS, "config": ""}},
		{"/x", map[string]string{"socket": "/x", "bpffs": "/x", "config": "/x"}},
	} {
		for _, name := range []string{"HEADGATE_SOCKET", "HEADGATE_BPFFS", "HEADGATE_CONFIG"} {
			t.Setenv(name, tt.value)
		}
		if diff := cmp.Diff(tt.want, valuesOf()); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", tt.value, diff)
		}
	}
}

func TestArgumentsAfterTwoDashesAreNoFlags(t *testing.T) {
	o := command(t, "validate", "--", "--odd.yaml")
	if o.code != exitFailed || !strings.Contains(o.stderr, "--odd.yaml: no such file") {
		t.Errorf("%d %q", o.code, o.stderr)
	}
}

func TestNodesWithTheSameLabelGoByTheirAddresses(t *testing.T) {
	f := busy()
	nodes := f.status.Configs[0].Nodes
	nodes[1].Label, nodes[1].Name = nodes[0].Label, nodes[0].Name
	daemonOn(t, f)
	want := "no such node (have: web/80/web-1 (192.0.2.11:8080), web/80/web-1 (192.0.2.12:8080), web/80/web-3)"
	for _, line := range []string{"node show web/80/web-9", "node set web/80/web-9 --mode drain"} {
		if o := command(t, strings.Fields(line)...); o.code != exitFailed || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: %q lacks %q", line, o.stderr, want)
		}
	}
}

func TestOnlyTheDaemonOutlivesItsTerminal(t *testing.T) {
	noDaemon(t)
	for line, want := range map[string]bool{
		"run -c /nowhere": false, "--socket /nowhere run -c /nowhere": false, "status": true, "node set a/80/bcd --until-drained": true,
	} {
		ends := false
		commandIn(t, env{endOnHangup: func() { ends = true }}, strings.Fields(line)...)
		if ends != want {
			t.Errorf("%s: SIGHUP ends it: %v", line, ends)
		}
	}
}
