package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

func topCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "top",
		Usage:     "a live screen of nodes and configs: flows, traffic, errors, health",
		UsageText: text("top [--interval D]", "headgate top"),
		Description: "The figures of status, once a second. Keys: s sorts by the next column, / filters by a part of a\n" +
			"name and esc drops that, c goes from nodes to configs and back, enter to the nodes of a config, the\n" +
			"arrows choose, m changes the mode of a node after a confirmation, q ends.\n\n" +
			"ERR/s are connections that a node failed (refused, left unanswered; where check_passive is on), and\n" +
			"packets of a config that were refused or dropped. HISTORY has a mark for each of the last screens:\n" +
			"# UP, b backups serve, _ DOWN, ? Unknown; the newest is on the right.",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "interval", Value: time.Second, Usage: "from one look to the next, `D`"},
		},
		Action: func(c *cli.Context) error { return top(c, e) },
	}
}

func top(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	if d := c.Duration("interval"); d < 100*time.Millisecond {
		return usage(c, "--interval %v: must be 100ms or more", d)
	}
	t, onTerminal := e.stdout.(terminal)
	if !onTerminal {
		return errors.New("top needs a terminal: `headgate status` is for everything else")
	}
	l, done, err := look(c, e)
	if err != nil {
		return err
	}
	defer done()
	m := screenModel{
		interval: c.Duration("interval"), width: t.columns, height: 24,
		look: func() (api.Status, error) { return l.Status(c.Context) },
	}
	if client, runs := l.(*api.Client); runs {
		m.setMode = func(node, mode string) error { return setNodeMode(c.Context, client, node, mode) }
	}
	screen, err := tcell.NewScreen()
	if err == nil {
		err = screen.Init()
	}
	if err != nil {
		return fmt.Errorf("top: %w", err)
	}
	defer screen.Fini()
	return live(c.Context, screen, m)
}

// live shows the model and hands it what happens, until it quits or the context ends.
func live(ctx context.Context, screen tcell.Screen, m screenModel) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan any)
	do := func(w work) {
		if w == nil {
			return
		}
		go func() {
			select {
			case messages <- w():
			case <-ctx.Done():
			}
		}()
	}
	events := make(chan tcell.Event)
	go screen.ChannelEvents(events, ctx.Done())
	m.width, m.height = screen.Size()
	for do(m.takeLook); ; {
		draw(screen, m.View())
		var msg any
		select {
		case <-ctx.Done():
			return nil
		case msg = <-messages:
		case event := <-events:
			msg = messageOf(event)
		}
		if _, ends := msg.(quitMsg); ends {
			return nil
		}
		var w work
		m, w = m.Update(msg)
		do(w)
	}
}

func messageOf(event tcell.Event) any {
	switch event := event.(type) {
	case *tcell.EventResize:
		width, height := event.Size()
		return sizeMsg{width, height}
	case *tcell.EventKey:
		switch event.Key() {
		case tcell.KeyRune:
			return keyMsg(string(event.Rune()))
		case tcell.KeyUp:
			return keyMsg("up")
		case tcell.KeyDown:
			return keyMsg("down")
		case tcell.KeyEnter:
			return keyMsg("enter")
		case tcell.KeyEsc:
			return keyMsg("esc")
		case tcell.KeyBackspace, tcell.KeyBackspace2:
			return keyMsg("backspace")
		case tcell.KeyCtrlC:
			return keyMsg("ctrl-c")
		}
	}
	return nil
}

func draw(screen tcell.Screen, view string) {
	screen.Clear()
	for y, line := range strings.Split(view, "\n") {
		for x, r := range []rune(line) {
			screen.SetContent(x, y, r, nil, tcell.StyleDefault)
		}
	}
	screen.Show()
}

func setNodeMode(ctx context.Context, client *api.Client, node, mode string) error {
	_, err := client.Edit(ctx, api.Edit{Action: api.Change, Kind: api.KindNode, Name: node, Values: api.Values{"mode": &mode}})
	return err
}
