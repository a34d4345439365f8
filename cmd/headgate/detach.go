package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/daemon"
)

func detachCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "detach",
		Usage:     "take the program off the interfaces and remove the pinned maps",
		UsageText: text("detach [--yes]", "headgate detach --yes"),
		Description: "Every flow through the balancer ends. The daemon must be stopped first. What remains is the\n" +
			"desired state in the daemon's state directory.",
		Flags: []cli.Flag{
			yesFlag(),
		},
		Action: func(c *cli.Context) error { return detach(c, e) },
	}
}

func detach(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	dir := c.String("bpffs")
	if !c.Bool("yes") {
		if !e.terminal {
			return errors.New("detach ends every flow: say --yes where nobody can be asked")
		}
		question := fmt.Sprintf("Take the program off its interfaces and remove the pins in %s? Every flow ends.", dir)
		if err := confirmed(c, e, question); err != nil {
			return err
		}
	}
	done, err := daemon.Detach(dir)
	for _, line := range done {
		fmt.Fprintln(e.stdout, line)
	}
	if errors.Is(err, loader.ErrNotPinned) {
		fmt.Fprintf(e.stdout, "nothing is pinned in %s\n", dir)
		return nil
	}
	return err
}
