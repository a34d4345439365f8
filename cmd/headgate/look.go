package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/daemon"
)

// patience is how long a daemon may take to answer before it counts as dead.
const patience = 3 * time.Second

// look gives what to read from: the daemon, or the pinned maps when it does not answer, and says
// so on stderr. The caller calls done when it has read.
func look(c *cli.Context, e env) (l api.Look, done func(), err error) {
	client := api.NewClient(c.String("socket"))
	ctx, cancel := context.WithTimeout(c.Context, patience)
	defer cancel()
	gone := client.Ping(ctx)
	if gone == nil {
		return client, func() {}, nil
	}
	if c.Context.Err() != nil {
		return nil, nil, c.Context.Err()
	}
	dir := c.String("bpffs")
	pinned, err := daemon.OpenPinned(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; and its pinned maps cannot be read either: %w", gone, err)
	}
	fmt.Fprintf(e.stderr, "headgate: no daemon answers on %s: reading the pinned maps in %s\n", c.String("socket"), dir)
	return pinned, func() { _ = pinned.Close() }, nil
}
