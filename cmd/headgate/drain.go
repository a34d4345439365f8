package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

func drainFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{DisableDefaultText: true, Name: "until-drained", Usage: "return once the node's last flow ended"},
		&cli.DurationFlag{Name: "timeout", DefaultText: "never", Usage: "give up --until-drained after `D`"},
	}
}

// drain waits for the end of a node's last flow.
type drain struct {
	timeout time.Duration // 0: none
	node    api.Node
	name    string // as it was called
	removed bool   // the node is to be removed, rather than set
}

// drainOf is what --until-drained asks for, nil when it is not there.
func drainOf(c *cli.Context) (*drain, error) {
	wanted, timeout := c.Bool("until-drained"), c.Duration("timeout")
	if c.IsSet("timeout") && (!wanted || timeout <= 0) {
		return nil, usage(c, "--timeout %v: must be more than 0, and needs --until-drained", timeout)
	}
	if wanted && c.Bool("dry-run") {
		return nil, usage(c, "--until-drained waits for what --dry-run does not do")
	}
	if !wanted {
		return nil, nil
	}
	return &drain{timeout: timeout, removed: c.Command.Name == "remove"}, nil
}

// look remembers which node it is, before its name is changed or gone.
func (d *drain) look(ctx context.Context, client *api.Client, name string) (err error) {
	d.name = name
	d.node, err = client.Node(ctx, name)
	return err
}

// drainPoll is how often the flows of a draining node are counted.
const drainPoll = 200 * time.Millisecond

// wait returns when the node has no active flow.
func (d *drain) wait(ctx context.Context, e env, client *api.Client) error {
	if d.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.timeout)
		defer cancel()
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	left := uint64(0)
	for {
		flows, err := d.left(ctx, client)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %s left when time was up; what was set stays", d.name, plural(int(left), "flow"))
		case err != nil:
			return err
		case flows == 0:
			_, err := fmt.Fprintf(e.stdout, "%s: %s\n", d.name, d.drained())
			return err
		case flows != left:
			fmt.Fprintf(e.stderr, "%s: %s left\n", d.name, plural(int(flows), "flow"))
		}
		left = flows
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// left counts the node's active flows. A node that takes new ones is an error: it never drains.
func (d *drain) left(ctx context.Context, client *api.Client) (flows uint64, err error) {
	config, err := client.Config(ctx, d.node.Config)
	if err != nil {
		return 0, err
	}
	for _, n := range config.Nodes {
		switch {
		case n.Address != d.node.Address:
		case n.Lifecycle == api.Removed:
			flows += n.ActiveFlows // of its life before, also when it is back
		case d.removed:
		case n.TakesNew:
			return 0, fmt.Errorf("%s: takes new flows (mode %s) and so never drains: set --mode drain or reject", d.name, n.Mode)
		default:
			flows += n.ActiveFlows
		}
	}
	return flows, nil
}

func (d *drain) drained() string {
	if d.removed {
		return "removed and drained"
	}
	return "drained"
}
