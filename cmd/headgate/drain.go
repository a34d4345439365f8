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
		&cli.BoolFlag{DisableDefaultText: true, Name: "until-drained", Usage: "return once the node's last flow ended, and no client sticks to it"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "flows-only", Usage: "don't let --until-drained wait for clients that stick to the node"},
		&cli.DurationFlag{Name: "timeout", DefaultText: "never", Usage: "give up --until-drained after `D`"},
	}
}

// drain waits for the end of a node's last flow, and of the last stick entry that may bring another.
type drain struct {
	timeout   time.Duration // 0: none
	flowsOnly bool          // not for stick entries
	node      api.Node
	name      string // as it was called
	removed   bool   // the node is to be removed, rather than set
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
	if !wanted && c.Bool("flows-only") {
		return nil, usage(c, "--flows-only needs --until-drained")
	}
	if !wanted {
		return nil, nil
	}
	return &drain{timeout: timeout, flowsOnly: c.Bool("flows-only"), removed: c.Command.Name == "remove"}, nil
}

// look remembers which node it is, before its name is changed or gone.
func (d *drain) look(ctx context.Context, client *api.Client, name string) (err error) {
	d.name = name
	d.node, err = client.Node(ctx, name)
	return err
}

// drainPoll is how often the flows of a draining node are counted.
const drainPoll = 200 * time.Millisecond

// remains is what a node still has that is to end.
type remains struct {
	flows  uint64
	sticks uint64 // entries that lead new flows there
}

func (r remains) String() string {
	switch {
	case r.sticks == 0:
		return plural(int(r.flows), "flow")
	case r.flows == 0:
		return stickEntries(r.sticks)
	}
	return plural(int(r.flows), "flow") + " and " + stickEntries(r.sticks)
}

// wait returns when nothing remains that is waited for. It looks once at least, so that it never fails without saying
// what is left.
func (d *drain) wait(ctx context.Context, e env, client *api.Client) error {
	var over <-chan time.Time
	if d.timeout > 0 {
		over = time.After(d.timeout)
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	var last remains
	for {
		left, err := d.left(ctx, client)
		switch {
		case err != nil:
			return err
		case left.flows == 0 && (left.sticks == 0 || d.flowsOnly):
			_, err := fmt.Fprintf(e.stdout, "%s: %s\n", d.name, d.drained(left))
			return err
		case left != last:
			fmt.Fprintf(e.stderr, "%s: %s left%s\n", d.name, left, d.until(ctx, client, left, last))
		}
		last = left
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %s left when it was interrupted; what was set stays", d.name, last)
		case <-over:
			return fmt.Errorf("%s: %s left when time was up; what was set stays", d.name, last)
		case <-tick.C:
		}
	}
}

// until says when the last entry ends, once nothing but entries is left.
func (d *drain) until(ctx context.Context, client *api.Client, left, last remains) string {
	if left.flows > 0 || last.flows == 0 && last.sticks > 0 {
		return ""
	}
	longest := time.Duration(0)
	for s, err := range client.Sticks(ctx, api.StickQuery{Node: d.node.Config + "/" + d.node.Address}) {
		if err != nil {
			return ""
		}
		longest = max(longest, time.Duration(s.LeftMS)*time.Millisecond)
	}
	return fmt.Sprintf(", the last until %s unless its client comes again (`headgate sticky remove --node %s` lets them go)",
		time.Now().Add(longest).Format(time.TimeOnly), d.name)
}

// left counts what the node still has. One that takes new flows is an error: it never drains.
func (d *drain) left(ctx context.Context, client *api.Client) (left remains, err error) {
	config, err := client.Config(ctx, d.node.Config)
	if err != nil {
		return left, err
	}
	for _, n := range config.Nodes {
		switch {
		case n.Address != d.node.Address:
		case n.Lifecycle == api.Removed:
			left.flows += n.ActiveFlows // of its life before, also when it is back
		case d.removed:
		case n.TakesNew:
			return left, fmt.Errorf("%s: takes new flows (mode %s) and so never drains: set --mode drain or reject", d.name, n.Mode)
		default:
			left.flows += n.ActiveFlows
			left.sticks += n.StickEntries
		}
	}
	return left, nil
}

func (d *drain) drained(left remains) string {
	switch {
	case d.removed:
		return "removed and drained"
	case left.sticks > 0:
		return "no flow is left; " + stickEntries(left.sticks) + " may bring others"
	}
	return "drained"
}
