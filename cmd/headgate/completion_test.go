package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

// offered is what a shell would offer for a line whose last word is being typed, without what it is.
func offered(t *testing.T, words ...string) []string {
	t.Helper()
	o := command(t, append([]string{asked}, words...)...)
	if o.code != exitDone || o.stderr != "" {
		t.Fatalf("%q: %+v", words, o)
	}
	var out []string
	for line := range strings.Lines(o.out) {
		text, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		out = append(out, text)
	}
	return out
}

func TestCompletionKnowsCommandsFlagsValuesAndNames(t *testing.T) {
	f := busy()
	twins := f.status.Configs[0].Nodes[:2:2]
	twin := api.Node{Name: "web/443/twin", Config: "web/443", Label: "twin", Address: "192.0.2.21:443"}
	other := twin
	other.Address = "192.0.2.22:443"
	f.status.Configs = []api.Config{{Name: "web/80", Balancer: "web", Nodes: twins}, {Name: "web/443", Balancer: "web", Nodes: []api.Node{twin, other}}}
	daemonOn(t, f)
	for line, want := range map[string]string{
		"no":                                "node",
		"node s":                            "show set",
		"node":                              "node",
		"node nose ":                        "",
		"co":                                "config completion",
		"__":                                "",
		"node show ":                        "web/80/web-1 web/80/web-2 web/443/192.0.2.21:443 web/443/192.0.2.22:443",
		"node set web/80/":                  "web/80/web-1 web/80/web-2",
		"node remove web/443/":              "web/443/192.0.2.21:443 web/443/192.0.2.22:443",
		"node add w":                        "web/80/ web/443/",
		"config show ":                      "web/80 web/443",
		"config set web/4":                  "web/443",
		"config remove x":                   "",
		"config add ":                       "web/ a-label-of-thirty-two-characters/",
		"balancer set w":                    "web",
		"balancer remove ":                  "web a-label-of-thirty-two-characters",
		"balancer add ":                     "",
		"maps dump ":                        "nodes meta",
		"completion ":                       "bash zsh fish",
		"validate ":                         ":files",
		"validate x ":                       "",
		"node set web/80/web-1 --mode ":     "accept reject drain backup default",
		"node set web/80/web-1 --mode d":    "drain default",
		"node set web/80/web-1 --mode=d":    "--mode=drain --mode=default",
		"node set --mode drain web/80/web-": "web/80/web-1 web/80/web-2",
		"node set web/80/web-1 --w":         "--weight --wait",
		"node set web/80/web-1 --wait=":     "",
		"node set web/80/web-1 ":            "",
		"node set web/80/web-1 -- --m":      "",
		"node set web/80/web-1 --label d":   "",
		"node set web/80/web-1 --weight ":   "default",
		"config set web/80 --on-down ":      "keep reset default",
		"node list --config ":               "web/80 web/443",
		"flows --node web/80/":              "web/80/web-1 web/80/web-2",
		"flows --state ":                    "half_open established closing udp",
		"events --kind h":                   "health",
		"status -o ":                        "table json yaml",
		"status --output y":                 "yaml",
		"run -c ":                           ":files",
		"run --log-level w":                 "warn",
		"apply -f ":                         ":files",
		"--so":                              "--socket",
		"--socket ":                         ":files",
		"--socket /nowhere node show ":      "",
		"node show --nose ":                 "web/80/web-1 web/80/web-2 web/443/192.0.2.21:443 web/443/192.0.2.22:443",
	} {
		if got := strings.Join(offered(t, strings.Split(line, " ")...), " "); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	noDaemon(t)
	if got := offered(t, "node", "show", ""); got != nil {
		t.Errorf("without a daemon: %q", got)
	}
}

func TestCompletionOfManyNamesGoesPartByPart(t *testing.T) {
	f := busy()
	f.status.Configs = nil
	for i := range 3 {
		c := api.Config{Name: fmt.Sprintf("web%d/80", i)}
		for k := range 90 {
			c.Nodes = append(c.Nodes, api.Node{Name: fmt.Sprintf("%s/node-%02d", c.Name, k), Config: c.Name, Address: fmt.Sprintf("192.0.2.%d:80", k)})
		}
		f.status.Configs = append(f.status.Configs, c)
	}
	daemonOn(t, f)
	for word, want := range map[string]int{"": 3, "web": 3, "web1/": 90, "web1/80/node-0": 10} {
		if got := offered(t, "node", "show", word); len(got) != want || word == "" && got[0] != "web0/" {
			t.Errorf("%q: %d offers, want %d: %q", word, len(got), want, got)
		}
	}
}

// TestCompletionKnowsEveryFlagAndArgument looks for flags with a value, and commands with an argument, that no source
// is named for.
func TestCompletionKnowsEveryFlagAndArgument(t *testing.T) {
	argument := regexp.MustCompile(`^ \[?([A-Z]+(\|[A-Z]+)*|[a-z]+(\|[a-z]+)+)\]?( |$)`)
	app := newApp(env{})
	known := map[string]bool{}
	var walk func(path []string, commands []*cli.Command)
	check := func(path []string, flags []cli.Flag) {
		for _, f := range flags {
			name := f.Names()[0]
			command := strings.Join(path, " ")
			known[name], known[command+" "+name] = true, true
			if takesValue(f) && valueSources[command+" "+name] == nil && settingSource(path, name) == nil && valueSources[name] == nil {
				t.Errorf("%s --%s: no source of values", command, name)
			}
		}
	}
	walk = func(path []string, commands []*cli.Command) {
		for _, c := range commands {
			path := append(path[:len(path):len(path)], c.Name)
			check(path, c.Flags)
			walk(path, c.Subcommands)
			command := strings.Join(path, " ")
			known[command] = true
			synopsis, _, _ := strings.Cut(c.UsageText, "\n")
			takes := argument.MatchString(strings.TrimPrefix(synopsis, "headgate "+command)) && len(c.Subcommands) == 0
			if has := argumentSources[command] != nil; has != takes {
				t.Errorf("%s: takes an argument: %v, has a source: %v", command, takes, has)
			}
		}
	}
	check(nil, app.Flags)
	walk(nil, app.Commands)
	for name := range valueSources {
		if !known[name] {
			t.Errorf("%s: a source for no flag", name)
		}
	}
	for name := range argumentSources {
		if !known[name] {
			t.Errorf("%s: a source for no command", name)
		}
	}
}

func TestCompletionPrintsAScriptForEachShell(t *testing.T) {
	for _, shell := range shells {
		if o := command(t, "completion", shell); o.code != exitDone || !strings.Contains(o.out, "__complete") {
			t.Errorf("%s: %+v", shell, o)
		}
	}
	for line, want := range map[string]string{
		"completion": "completion takes one argument, the shell: bash, zsh, fish (got 0)", "completion tcsh": "tcsh: must be one of bash, zsh, fish",
		"completion bash zsh": "completion takes one argument, ", "completion --bash": "no flag --bash", "completion bash -o json": "no flag -o",
	} {
		if o := command(t, strings.Fields(line)...); o.code != exitUsage || !strings.HasPrefix(o.stderr, "headgate: "+want) || o.out != "" {
			t.Errorf("%s: %+v, want %q", line, o, want)
		}
	}
}
