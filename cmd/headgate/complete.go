package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

// complete offers the names of things, and the flags once a dash is typed. Shells wait for it, so it gives up
// soon, and silently.
func (n noun) complete(e env) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		ctx, cancel := context.WithTimeout(c.Context, time.Second)
		defer cancel()
		st, err := api.NewClient(c.String("socket")).Status(ctx)
		if err != nil {
			return
		}
		for _, name := range n.names(st) {
			fmt.Fprintln(e.stdout, name)
		}
		for _, f := range c.Command.Flags {
			if name := f.Names()[0]; !strings.HasPrefix(name, "help") {
				fmt.Fprintln(e.stdout, "--"+name)
			}
		}
	}
}

// names are those of all things of this kind.
func (n noun) names(st api.Status) (names []string) {
	switch n.kind {
	case api.KindBalancer:
		for _, b := range st.Balancers {
			names = append(names, b.Name)
		}
	case api.KindConfig:
		for _, c := range st.Configs {
			names = append(names, c.Name)
		}
	default:
		nodes := st.Nodes()
		ambiguous := api.Ambiguous(nodes)
		for _, n := range nodes {
			name := n.Name
			if ambiguous[name] {
				name = n.Config + "/" + n.Address
			}
			names = append(names, name)
		}
	}
	return names
}
