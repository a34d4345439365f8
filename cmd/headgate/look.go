package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/daemon"
	"github.com/headgate/headgate/pkg/lb"
)

// patience is how long a daemon may take to answer before it counts as dead.
const patience = 3 * time.Second

// show calls then with what to read from, the daemon or the pinned maps, and the format to print in.
func show(c *cli.Context, e env, then func(l api.Look, form string) error) error {
	return showBy(look, c, e, then)
}

// showBy is show with a choice of how to look.
func showBy(look func(*cli.Context, env) (api.Look, func(), error), c *cli.Context, e env, then func(l api.Look, form string) error) error {
	form, err := format(c)
	if err != nil {
		return err
	}
	l, done, err := look(c, e)
	if err != nil {
		return err
	}
	defer done()
	return then(l, form)
}

// lookAtFlows is look for what there may be a million of: the maps themselves also while the daemon runs,
// since that many take too long through a socket.
func lookAtFlows(c *cli.Context, e env) (l api.Look, done func(), err error) {
	l, done, err = look(c, e)
	client, runs := l.(*api.Client)
	if err != nil || !runs {
		return l, done, err
	}
	place, err := client.Place(c.Context)
	if err != nil {
		return nil, nil, err
	}
	pinned, err := daemon.OpenPlace(place)
	if err != nil {
		return client, done, nil // the maps are out of reach, the daemon is not
	}
	return pinned, func() { _ = pinned.Close() }, nil
}

// byName puts the names of a config and a node in place of their ids, which only a daemon knows: the maps do not.
// What cannot be found stays, and the lookup says so.
func byName(c *cli.Context, config, node *string) {
	client := api.NewClient(c.String("socket"))
	if lb.BeginsWithID(*config) {
		if found, err := client.Config(c.Context, *config); err == nil {
			*config = found.Name
		}
	}
	if lb.BeginsWithID(*node) {
		if found, err := client.Node(c.Context, *node); err == nil {
			*node = found.Config + "/" + found.Address
		}
	}
}

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
	if errors.Is(gone, fs.ErrPermission) {
		return nil, nil, gone // the maps are not for everybody either
	}
	dir := c.String("bpffs")
	pinned, err := daemon.OpenPinned(dir)
	if errors.Is(err, loader.ErrNotPinned) {
		return nil, nil, fmt.Errorf("no daemon answers on %s, and nothing is pinned in %s: start it with `headgate run -c FILE`, or name its places with --socket and --bpffs",
			c.String("socket"), dir)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("no daemon answers on %s, and its maps cannot be read: %w", c.String("socket"), err)
	}
	fmt.Fprintf(e.stderr, "headgate: no daemon answers on %s: reading the pinned maps in %s\n", c.String("socket"), dir)
	return pinned, func() { _ = pinned.Close() }, nil
}
