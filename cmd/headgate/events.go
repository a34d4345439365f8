package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// eventsLimit is how many events are shown unless --limit says otherwise.
const eventsLimit = 50

func eventsCommand(e env) *cli.Command {
	kinds := make([]string, len(events.Kinds))
	for i, k := range events.Kinds {
		kinds[i] = string(k)
	}
	return &cli.Command{
		Name:  "events",
		Usage: "what happened: health, modes, tiers, drained nodes, limits, what was applied",
		UsageText: text("events [-f] [--kind K] [--config C] [--node N] [--limit N] [-o table|json|yaml]",
			"headgate events -f", "headgate events --kind health,tier --config web/80", "headgate events -f -o json | jq .text"),
		Description: "The latest events, oldest first; with -f it goes on with those that come, until it is stopped.\n" +
			"With -f JSON is one event a line. Without a daemon it reads what the daemon kept on the disk.\n" +
			"Kinds: " + strings.Join(kinds, ", ") + ".",
		Flags: []cli.Flag{
			&cli.BoolFlag{DisableDefaultText: true, Name: "follow", Aliases: []string{"f"}, Usage: "go on with those that come"},
			&cli.StringFlag{Name: "kind", Usage: "only those of `KIND`; several with commas"},
			&cli.StringFlag{Name: "config", Usage: "only those of `CONFIG`, BALANCER/PORT[/udp]"},
			&cli.StringFlag{Name: "node", Usage: "only those of `NODE`, BALANCER/PORT[/udp]/LABEL"},
			&cli.IntFlag{Name: "limit", Value: eventsLimit, Usage: "at most the latest `N`; 0: all that are kept"},
			&cli.StringFlag{Name: "state-dir", Value: config.DefaultStateDir, Usage: "`DIR` where the daemon kept them, read when it does not run"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error { return showEvents(c, e) },
	}
}

func showEvents(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	form, err := format(c)
	if err != nil {
		return err
	}
	q, err := eventQuery(c)
	if err != nil {
		return err
	}
	if q.Follow && form == asYAML {
		return usage(c, "-f goes with table or json, not with yaml")
	}
	list, err := happened(c, e, q)
	if err != nil {
		return err
	}
	if form == asTable {
		return printEvents(e.stdout, list, q.Follow)
	}
	if q.Follow {
		return printLines(e.stdout, list)
	}
	return printSequence(e.stdout, form, list, appendValue)
}

func eventQuery(c *cli.Context) (q api.EventQuery, err error) {
	q.Config, q.Node, q.Limit, q.Follow = c.String("config"), c.String("node"), c.Int("limit"), c.Bool("follow")
	if q.Limit < 0 {
		return q, usage(c, "--limit %d: must be 0 or more", q.Limit)
	}
	for _, k := range strings.FieldsFunc(c.String("kind"), func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.Contains(events.Kinds, events.Kind(k)) {
			return q, usage(c, "--kind %s", lb.WordReason(events.Kind(k), events.Kinds))
		}
		q.Kinds = append(q.Kinds, events.Kind(k))
	}
	return q, nil
}

// happened gives the events: the daemon's, or those on the disk when none runs.
func happened(c *cli.Context, e env, q api.EventQuery) (iter.Seq2[events.Event, error], error) {
	client := api.NewClient(c.String("socket"))
	ctx, cancel := context.WithTimeout(c.Context, patience)
	defer cancel()
	gone := client.Ping(ctx)
	if gone == nil {
		noteStranger(ctx, e, client, q)
		return client.Events(c.Context, q), nil
	}
	if c.Context.Err() != nil {
		return nil, c.Context.Err()
	}
	if ctx.Err() != nil { // what it keeps on the disk is its own
		return nil, fmt.Errorf("the daemon on %s does not answer: is it stopped, or its host overloaded?", c.String("socket"))
	}
	dir := c.String("state-dir")
	if q.Follow || errors.Is(gone, fs.ErrPermission) {
		return nil, gone
	}
	all, err := store.ReadArchive(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no daemon answers on %s, and none has kept events in %s: name its places with --socket and --state-dir",
			c.String("socket"), dir)
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(e.stderr, "headgate: no daemon answers on %s: reading the events that were kept in %s\n", c.String("socket"), dir)
	return func(yield func(events.Event, error) bool) {
		for _, ev := range events.Select(all, q.Filter, q.Limit) {
			if !yield(ev, nil) {
				return
			}
		}
	}, nil
}

// noteStranger says when a config or node is asked for that is not there: it may have been, and else it is misspelt.
func noteStranger(ctx context.Context, e env, client *api.Client, q api.EventQuery) {
	var err error
	switch {
	case q.Node != "":
		_, err = client.Node(ctx, q.Node)
	case q.Config != "":
		_, err = client.Config(ctx, q.Config)
	}
	if refused := (*api.Error)(nil); errors.As(err, &refused) {
		fmt.Fprintf(e.stderr, "headgate: %v; looking for what was told of it before\n", err)
	}
}

// eventTime is the local time of an event, to the millisecond: causes and effects lie close together.
const eventTime = "2006-01-02 15:04:05.000"

// printEvents writes a line for each event while they come.
func printEvents(w io.Writer, list iter.Seq2[events.Event, error], follow bool) error {
	cols := columns("TIME", "KIND", "EVENT")
	wide := []int{len(eventTime), 0, 0}
	for _, k := range events.Kinds {
		wide[1] = max(wide[1], len(k))
	}
	if t, ok := w.(terminal); ok {
		w = t.Writer // a sentence that is cut would not say why
	}
	heading, empty := true, true
	for e, err := range list {
		if err != nil {
			return err
		}
		row := []string{e.Time.Local().Format(eventTime), string(e.Kind), e.Text}
		if err := writeRows(w, "", cols, wide, [][]string{row}, heading); err != nil {
			return err
		}
		heading, empty = false, false
	}
	if empty && !follow {
		_, err := fmt.Fprintln(w, "no events")
		return err
	}
	return nil
}

// printLines writes one JSON value a line.
func printLines(w io.Writer, list iter.Seq2[events.Event, error]) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for e, err := range list {
		if err != nil {
			return err
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}
