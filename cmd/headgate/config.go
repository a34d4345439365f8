package main

import (
	"io"
	"slices"
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
	return &cli.Command{
		Name:      "config",
		Usage:     "list, show, add, set and remove configs, the ports of balancers",
		UsageText: text("config list|show|add|set|remove", "headgate config show web/80"),
		Subcommands: slices.Concat([]*cli.Command{
			{
				Name:      "list",
				Usage:     "all configs with what they are and how their nodes are",
				UsageText: text("config list [--balancer B] [-o table|json|yaml]", "headgate config list --balancer web"),
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "balancer", Usage: "only those of `BALANCER`"},
					outputFlag(),
				},
				Action: func(c *cli.Context) error { return configList(c, e) },
			},
			{
				Name:      "show",
				Usage:     "all that applies to a config, and its nodes",
				UsageText: text("config show CONFIG [-o table|json|yaml]", "headgate config show web/80", "headgate config show dns/53/udp -o json"),
				Flags:     []cli.Flag{outputFlag()},
				Action:    func(c *cli.Context) error { return configShow(c, e) },
			},
		}, configs.verbs(e)),
	}
}

func configList(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	return show(c, e, func(l api.Look, form string) error {
		st, err := l.Status(c.Context)
		if err != nil {
			return err
		}
		listed := st.Configs
		if name := c.String("balancer"); name != "" {
			b, err := st.Balancer(name)
			if err != nil {
				return err
			}
			listed = configsNamed(&st, b.Name)
		}
		return printAs(e.stdout, form, listed, func(w io.Writer) error {
			return writeTable(w, "", configColumns, configRows(listed))
		})
	})
}

func configShow(c *cli.Context, e env) error {
	name, err := oneArg(c, configs.what())
	if err != nil {
		return err
	}
	return show(c, e, func(l api.Look, form string) error {
		st, err := l.Status(c.Context)
		if err != nil {
			return err
		}
		config, err := st.Config(name)
		if err != nil {
			return err
		}
		return printAs(e.stdout, form, config, func(w io.Writer) error { return printConfig(w, config, time.Now()) })
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
