package main

import (
	"io"

	"github.com/urfave/cli/v2"
)

// manSection is where a daemon's manual belongs.
const manSection = 8

// manCommand prints the manual. Packagers call it; people have --help.
func manCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "man",
		Usage:     "print the manual page, in roff",
		UsageText: text("man", "headgate man | gzip > headgate.8.gz"),
		Hidden:    true,
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			page, err := c.App.ToManWithSection(manSection)
			if err != nil {
				return err
			}
			_, err = io.WriteString(e.stdout, page)
			return err
		},
	}
}
