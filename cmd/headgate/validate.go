package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/lb"
)

func validateCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check a file without touching the system",
		UsageText: text("validate FILE", "headgate validate /etc/headgate/headgate.yaml", "headgate export | headgate validate -"),
		Description: "Names every fault as FILE:LINE:COL: path: reason, and exits with 1 when there is one.\n" +
			"- is the standard input. A file that passes is applied by `headgate apply -f FILE`.",
		Action: func(c *cli.Context) error {
			path, err := oneArg(c, "the file (- is the standard input)")
			if err != nil {
				return err
			}
			var file *config.File
			if path == "-" {
				path = standardInput
				file, err = parse(e.stdin)
			} else {
				file, err = config.Load(path)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s: %s (%s)\n", path, verdict(file), inventory(file.Balancers))
			return nil
		},
	}
}

// standardInput is what a file that is called - goes by.
const standardInput = "standard input"

func parse(stdin io.Reader) (*config.File, error) {
	data, err := io.ReadAll(stdin)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", standardInput, err)
	}
	return config.Parse(standardInput, data)
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
