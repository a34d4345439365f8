package main

import (
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

var configs = noun{
	kind: api.KindConfig, form: "BALANCER/PORT[/udp]", named: []string{"port", "protocol"},
	settings: settingsOf(lb.ConfigFields, func() *lb.Config {
		var c lb.Config
		c.SetDefaults()
		return &c
	}),
	set: "change what applies to the traffic of a config",
	examples: map[string][]string{
		"add":    {"headgate config add web/443 --check connection --check-interval 2s --check-timeout 1s", "headgate config add dns/53/udp"},
		"set":    {"headgate config set web/80 --on-down reset --wait", "headgate config set web/80 --tcp-idle default"},
		"remove": {"headgate config remove web/443 --dry-run", "headgate config remove web/443 --yes"},
	},
}

func configCommand(e env) *cli.Command {
	return configs.command(e, looks{
		usage:  "configs, the ports of balancers",
		listed: "all configs with what they are and how their nodes are",
		shown:  "all that applies to a config, and its nodes",
		examples: map[string][]string{
			"all": {"headgate config show web/80"}, "list": {"headgate config list --balancer web"},
			"show": {"headgate config show web/80", "headgate config show dns/53/udp -o json"},
		},
		within: "balancer",
		list: func(st *api.Status, within string) (picture, error) {
			listed := st.Configs
			if within != "" {
				b, err := st.Balancer(within)
				if err != nil {
					return picture{}, err
				}
				listed = configsNamed(st, b.Name)
			}
			return picture{listed, func(w io.Writer) error { return writeTable(w, "", configColumns, configRows(listed)) }}, nil
		},
		show: func(st *api.Status, name string) (picture, error) {
			config, err := st.Config(name)
			return picture{config, func(w io.Writer) error { return printConfig(w, config, time.Now()) }}, err
		},
	})
}

// configsNamed are the configs of a balancer; they are a list, also when there is none.
func configsNamed(st *api.Status, balancer string) []api.Config {
	out := []api.Config{}
	for _, c := range st.Configs {
		if c.Balancer == balancer {
			out = append(out, c)
		}
	}
	return out
}
