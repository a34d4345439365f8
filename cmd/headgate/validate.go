package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/lb"
)

func validateCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check a file without touching the system",
		UsageText: text("validate FILE", "headgate validate /etc/headgate/headgate.yaml"),
		Description: "Names every fault as FILE:LINE:COL: path: reason, and exits with 1 when there is one.\n" +
			"A file that passes is applied by `headgate apply -f FILE`.",
		Action: func(c *cli.Context) error {
			path, err := oneArg(c, "the file")
			if err != nil {
				return err
			}
			file, err := config.Load(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s: %s (%s)\n", path, verdict(file), inventory(file.Balancers))
			return nil
		},
	}
}

// verdict says what a file without a fault is good for.
func verdict(file *config.File) string {
	if len(file.Interfaces) == 0 {
		return "good for apply; run needs interfaces"
	}
	return "good"
}

// inventory counts what there is.
func inventory(balancers []lb.Balancer) string {
	configs, nodes := 0, 0
	for _, b := range balancers {
		configs += len(b.Configs)
		for _, c := range b.Configs {
			nodes += len(c.Nodes)
		}
	}
	return fmt.Sprintf("%s, %s, %s", plural(len(balancers), "balancer"), plural(configs, "config"), plural(nodes, "node"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
