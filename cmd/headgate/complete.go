package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

// completeNodes offers the names of the daemon's nodes, and the flags once a dash is typed. Shells
// wait for it, so it gives up soon, and silently.
func completeNodes(e env) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		ctx, cancel := context.WithTimeout(c.Context, time.Second)
		defer cancel()
		nodes, err := api.NewClient(c.String("socket")).Nodes(ctx)
		if err != nil {
			return
		}
		ambiguous := api.Ambiguous(nodes)
		for _, n := range nodes {
			name := n.Name
			if ambiguous[name] {
				name = n.Config + "/" + n.Address
			}
			fmt.Fprintln(e.stdout, name)
		}
		for _, f := range c.Command.Flags {
			if name := f.Names()[0]; !strings.HasPrefix(name, "help") {
				fmt.Fprintln(e.stdout, "--"+name)
			}
		}
	}
}
