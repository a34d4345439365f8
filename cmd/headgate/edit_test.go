package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// TestEveryKeyOfTheFileHasAFlag looks for each key of the vocabulary among the flags of add and set, but for those
// that are in the name.
func TestEveryKeyOfTheFileHasAFlag(t *testing.T) {
	keys := map[string][]string{}
	for _, f := range lb.BalancerFields {
		keys["balancer"] = append(keys["balancer"], f.Key)
	}
	for _, f := range lb.ConfigFields {
		keys["config"] = append(keys["config"], f.Key)
	}
	for _, f := range lb.NodeFields {
		keys["node"] = append(keys["node"], f.Key)
	}
	inName := map[string][]string{
		"balancer add": {"label"}, "config add": {"port", "protocol"}, "config set": {"port", "protocol"}, "node add": {"label"},
	}
	app := newApp(env{})
	for noun, wanted := range keys {
		for _, verb := range []string{"add", "set"} {
			c := findCommand(findCommand(app.Commands, noun).Subcommands, verb)
			for _, key := range wanted {
				has := findFlag(c.Flags, strings.ReplaceAll(key, "_", "-")) != nil
				if named := slices.Contains(inName[noun+" "+verb], key); has == named {
					t.Errorf("%s %s: a flag for %s: %v, in the name: %v", noun, verb, key, has, named)
				}
			}
		}
	}
}

// TestVerbsSendWhatFlagsSay calls each verb on each noun, and looks at what the daemon is told.
func TestVerbsSendWhatFlagsSay(t *testing.T) {
	for line, want := range map[string]string{
		"balancer add web --ipv4 203.0.113.10 --wait":        "add balancer web map[ipv4:203.0.113.10]; web: added, ipv4 203.0.113.10 (generation 8, applied)",
		"balancer add web --ipv4=203.0.113.10":               "add balancer web map[ipv4:203.0.113.10]; web: added, ipv4 203.0.113.10 (generation 8, applied 7: --wait waits for it)",
		"balancer set web --ipv6 default --label www --wait": "change balancer web map[ipv6:null label:www]; web: label www, ipv6 default (generation 8, applied)",
		"balancer remove web -y --wait":                      "remove balancer web map[]; web: removed (generation 8, applied)",
		"config add web/53/udp --wait":                       "add config web/53/udp map[]; web/53/udp: added (generation 8, applied)",
		"config set web/80 --check-interval 2 --check connection --tcp-idle default --wait": "change config web/80 map[check:connection check_interval:2 tcp_idle:null]; " +
			"web/80: tcp_idle default, check connection, check_interval 2 (generation 8, applied)",
		"config remove --yes web/80 --wait": "remove config web/80 map[]; web/80: removed (generation 8, applied)",
		"node add web/80/web-4 --address 192.0.2.14:80 --mode backup --wait": "add node web/80/web-4 map[address:192.0.2.14:80 mode:backup]; " +
			"web/80/web-4: added, address 192.0.2.14:80, mode backup (generation 8, applied)",
		"node set web/80/web-1 --override down --weight default --wait": "change node web/80/web-1 map[override:down weight:null]; " +
			"web/80/web-1: weight default, override down (generation 8, applied)",
		"node set web/80/web-1 --label default --wait": "change node web/80/web-1 map[label:default]; web/80/web-1: label default (generation 8, applied)",
		"node remove web/80/web-1 --yes --wait":        "remove node web/80/web-1 map[]; web/80/web-1: removed (generation 8, applied)",
	} {
		f := busy()
		daemonOn(t, f)
		o := command(t, strings.Fields(line)...)
		if o.code != exitDone || len(f.edits) != 1 {
			t.Errorf("%s: %+v, %d edits", line, o, len(f.edits))
			continue
		}
		e, told := f.edits[0], map[string]string{}
		for key, value := range e.Values {
			told[key] = "null"
			if value != nil {
				told[key] = *value
			}
		}
		if got := fmt.Sprintf("%s %s %s %v; %s", e.Action, e.Kind, e.Name, told, strings.TrimSuffix(o.out, "\n")); got != want {
			t.Errorf("%s:\n%s, want\n%s", line, got, want)
		}
	}
}

func TestADryRunPrintsThePlanAndChangesNothing(t *testing.T) {
	f := busy()
	f.applied.Plan = api.Plan{Steps: []api.Step{{Action: api.Remove, Kind: api.KindNode, Name: "web/80/web-1"}}}
	daemonOn(t, f)
	for _, line := range []string{"node remove web/80/web-1 --dry-run", "node set web/80/web-1 --weight 3 --dry-run", "balancer add new --ipv4 203.0.113.1 --dry-run"} {
		if o := command(t, strings.Fields(line)...); o.code != exitDone || !strings.Contains(o.out, "1 step; nothing was changed") {
			t.Errorf("%s: %+v", line, o)
		}
	}
	if len(f.edits) > 0 {
		t.Errorf("something was changed: %+v", f.edits)
	}
}

func TestRemovingAsksFirstAndSaysWhatGoesWithIt(t *testing.T) {
	f := busy()
	f.applied.Plan = api.Plan{Steps: []api.Step{
		{Action: api.Remove, Kind: api.KindBalancer, Name: "web"}, {Action: api.Remove, Kind: api.KindConfig, Name: "web/80"},
		{Action: api.Remove, Kind: api.KindNode, Name: "web/80/web-1"}, {Action: api.Remove, Kind: api.KindNode, Name: "web/80/web-2"},
	}, Moves: []api.ConfigMove{{Config: "web/80", Share: 1, Unserved: []string{"203.0.113.10"}}},
		Flows: []api.NodeFlows{{Name: "web/80/web-1", Nodes: 1, Why: "removed", Flows: 7, DeadlineMS: ref(int64(300_000))}}}
	daemonOn(t, f)
	remove := []string{"balancer", "remove", "web"}
	if o := command(t, remove...); o.code != exitFailed || o.stderr != "headgate: balancer remove: say --yes where nobody can be asked\n" {
		t.Errorf("where nobody can be asked: %+v", o)
	}
	for _, answer := range []string{"", "n\n", "\n", "yess\n"} {
		o := commandIn(t, env{stdin: strings.NewReader(answer), terminal: true}, remove...)
		want := "web/80/web-1 (removed): 7 flows active now, which go on, for 5m at most, and are ended then\n" +
			"web/80: clients of 203.0.113.10 lose service: new connections are left to the kernel\n" +
			"Remove the balancer web, with 1 config, with 2 nodes? [y/N] headgate: balancer remove: nothing was changed\n"
		if o.code != exitFailed || o.stderr != want {
			t.Errorf("answer %q: %+v", answer, o)
		}
	}
	if len(f.edits) > 0 {
		t.Fatalf("something was removed: %+v", f.edits)
	}
	for _, answer := range []string{"y\n", "Yes\n"} {
		if o := commandIn(t, env{stdin: strings.NewReader(answer), terminal: true}, remove...); o.code != exitDone {
			t.Errorf("answer %q: %+v", answer, o)
		}
	}
	if len(f.edits) != 2 {
		t.Errorf("%d edits", len(f.edits))
	}
}

// TestWrongChangesAreOneLineEach tries each verb with what cannot be, before a daemon is asked: it is wrong usage.
func TestWrongChangesAreOneLineEach(t *testing.T) {
	noDaemon(t)
	for line, want := range map[string]string{
		"balancer add":                           "balancer add takes one argument, the balancer as LABEL (got 0)",
		"balancer add a b":                       "balancer add takes one argument, the balancer as LABEL (got 2)",
		"balancer add web --ipv4 example.com":    `--ipv4 example.com: "example.com" is not an IP address`,
		"balancer add web --ipv4 2001:db8::1":    "--ipv4 2001:db8::1: 2001:db8::1 is not an IPv4 address",
		"balancer add web --ipv6 fe80::1":        "--ipv6 fe80::1: fe80::1 is a link-local address",
		"balancer add web --label www":           "no flag --label",
		"balancer set web":                       "balancer set needs something to set, as --label, --ipv4, --ipv6, --client-conn-throttle, --client-udp-sess-throttle …",
		"balancer set web --ipv6":                "--ipv6 needs a value",
		"balancer set --label www":               "balancer set takes one argument, ",
		"balancer set web --label a.b":           `--label a.b: "a.b" has '.': only letters, digits and any of -_ are allowed`,
		"balancer set web --ipv4 127.0.0.1":      "--ipv4 127.0.0.1: 127.0.0.1 is a loopback address",
		"balancer remove":                        "balancer remove takes one argument, ",
		"balancer remove web --ipv4 203.0.113.1": "no flag --ipv4",
		"balancer remove web --yes=maybe":        "--yes maybe: takes no value",
		"balancer remove web -o xml":             "-o xml: must be table, json or yaml",
		"balancer show":                          "balancer show takes one argument, ",
		"balancer show a b":                      "balancer show takes one argument, ",
		"balancer show web -o xml":               "-o xml: must be table, json or yaml",
		"balancer list web":                      `balancer list takes no argument (got "web")`,
		"balancer list -o":                       "-o needs a value",
		"balancer nose":                          `balancer has no command "nose"`,

		"config add web/80 --port 80":                       "no flag --port",
		"config add":                                        "config add takes one argument, the config as BALANCER/PORT[/udp] (got 0)",
		"config add web/80 --algorithm fastest":             `--algorithm fastest: must be `,
		"config add web/80 --check-port 70000":              "--check-port 70000: must be from 1 to 65535, not 70000",
		"config add web/80 --tcp-idle soon":                 `--tcp-idle soon: must be a duration such as 250ms, 2s or 1h, or whole seconds, not "soon"`,
		"config set web/80":                                 "config set needs something to set, as --",
		"config set web/80 --check-interval 1ms":            "--check-interval 1ms: must be from 100ms to 1h, not 1ms",
		"config set web/80 --on-down die":                   `--on-down die: must be one of keep, reset, not "die"`,
		"config set web/80 --check-rise 1.5":                "--check-rise 1.5: must be a number from 1 to 30 in plain digits, not 1.5",
		"config set web/80 web/81 --check none":             "config set takes one argument, ",
		"config remove web/80 --force":                      "no flag --force",
		"config remove":                                     "config remove takes one argument, ",
		"config remove web/80 web/81":                       "config remove takes one argument, ",
		"config remove web/80 --until-drained":              "no flag --until-drained",
		"config remove web/80 --dry-run=x":                  "--dry-run x: takes no value",
		"config list x":                                     `config list takes no argument (got "x")`,
		"config list --balancer":                            "--balancer needs a value",
		"config show":                                       "config show takes one argument, ",
		"config show web/80 -o text":                        "-o text: must be table, json or yaml",
		"config nose":                                       `config has no command "nose"`,
		"node add web/80/w --address 192.0.2.1":             `--address 192.0.2.1: "192.0.2.1" has no port: write 192.0.2.1:PORT`,
		"node add web/80/w --address host:80":               `--address host:80: "host:80": host names are not resolved`,
		"node add web/80/w --weight 0":                      "--weight 0: must be from 1 to 255, not 0",
		"node add web/80/w --until-drained":                 "no flag --until-drained",
		"node add":                                          "node add takes one argument, the node as BALANCER/PORT[/udp]/NODE (got 0)",
		"node set web/80/w --mode asleep":                   `--mode asleep: must be one of accept, reject, drain, backup, not "asleep"`,
		"node set web/80/w --override yes":                  `--override yes: must be one of none, up, down, not "yes"`,
		"node set web/80/w --address [::1]:80":              "--address [::1]:80: ::1 is a loopback address",
		"node set web/80/w --timeout 1m":                    "--timeout 1m0s: must be more than 0, and needs --until-drained",
		"node set web/80/w --until-drained --dry-run":       "--until-drained waits for what --dry-run does not do",
		"node remove":                                       "node remove takes one argument, ",
		"node remove web/80/w --timeout 5s":                 "--timeout 5s: must be more than 0, and needs --until-drained",
		"node remove web/80/w --until-drained --timeout 0s": "--timeout 0s: must be more than 0, and needs --until-drained",
		"node remove web/80/w --mode drain":                 "no flag --mode",
		"node remove web/80/w -o csv":                       "-o csv: must be table, json or yaml",
	} {
		o := command(t, strings.Fields(line)...)
		if o.code != exitUsage || !strings.HasPrefix(o.stderr, "headgate: "+want) || strings.Count(o.stderr, "\n") != 1 || o.out != "" {
			t.Errorf("%s: %d %q %q, want %q", line, o.code, o.out, o.stderr, want)
		}
	}
}

// TestRefusalsOfTheDaemonAreOneLineEach has what only the daemon can know.
func TestRefusalsOfTheDaemonAreOneLineEach(t *testing.T) {
	daemonOn(t, busy())
	for line, want := range map[string]string{
		"balancer show nose":                  "nose: no such balancer (have: web, a-label-of-thirty-two-characters)",
		"config list --balancer nose":         "nose: no such balancer (have: web, a-label-of-thirty-two-characters)",
		"config show web/81":                  "web/81: no such config (have: web/80)",
		"config show web":                     `"web" is not the name of a config: write BALANCER/PORT or BALANCER/PORT/udp`,
		"config show web/80/web-1":            `"web/80/web-1": the protocol must be one of tcp, udp, not "web-1"`,
		"config show web/http":                `"web/http": the port must be a number from 1 to 65535, not "http"`,
		"node list --config web/81":           "web/81: no such config (have: web/80)",
		"node show web/80":                    `"web/80" is not the name of a node: write BALANCER/PORT/NODE or BALANCER/PORT/udp/NODE`,
		"node show web/80/web-9":              "web/80/web-9: no such node (have: web/80/web-1, web/80/web-2, web/80/web-3)",
		"node set web/80/web-9 --weight 1":    "web/80/web-9: no such node (have: web/80/web-1, web/80/web-2, web/80/web-3)",
		"node remove web/80/web-9 --yes":      "web/80/web-9: no such node (have: web/80/web-1, web/80/web-2, web/80/web-3)",
		"node remove web/80/ --until-drained": `"web/80/" is not the name of a node`,
	} {
		o := commandIn(t, env{stdin: strings.NewReader("y\n"), terminal: false}, strings.Fields(line)...)
		if strings.Contains(line, "remove web/80/ ") {
			o = command(t, append(strings.Fields(line), "--yes")...)
		}
		if o.code != exitFailed || !strings.HasPrefix(o.stderr, "headgate: "+want) || strings.Count(o.stderr, "\n") != 1 || o.out != "" {
			t.Errorf("%s: %d %q %q, want %q", line, o.code, o.out, o.stderr, want)
		}
	}
}

func TestChangesSpeakJSON(t *testing.T) {
	daemonOn(t, busy())
	for _, line := range []string{"balancer add new -o json", "config set web/80 --on-down reset -o json", "node remove web/80/web-1 --yes -o json"} {
		o := command(t, strings.Fields(line)...)
		if o.code != exitDone || !strings.Contains(o.out, `"generation": 8`) {
			t.Errorf("%s: %+v", line, o)
		}
	}
}
