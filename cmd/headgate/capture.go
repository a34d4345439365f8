package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
)

func captureCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "capture",
		Usage: "packets as they come, with what becomes of them and why",
		UsageText: text("capture [--config C] [--node N] [--client ADDR[/BITS]] [--reason R] [-w FILE]\n   [--count N] [--duration D] [--sample N] [--rate N] [--snap N] [-o table|json]",
			"headgate capture --config web/80 --reason refused,dropped", "headgate capture --client 198.51.100.0/24 -w client.pcapng --duration 30s",
			"headgate capture --node web/80/web-1 -w - | wireshark -k -i -"),
		Description: "Each packet is shown where it came in and, with -w, where it left, too: the comments of the recording say its\n" +
			"fate, reason, verdict, config and node. While it runs, the interfaces run a program that captures, at some\n" +
			"cost for each packet; at all other times nothing of it is there. --sample and --rate bound that\n" +
			"in the data path. One capture runs at a time; it ends with this command, however that ends.\n" +
			"Reasons are those of status and the metrics. A fate stands for all its reasons: " + strings.Join(fateWords(), ", ") + ".",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "only packets of `CONFIG`, BALANCER/PORT[/udp]: of its flows, and those that were to open one"},
			&cli.StringFlag{Name: "node", Usage: "only packets of flows of `NODE`, BALANCER/PORT[/udp]/NODE"},
			&cli.StringFlag{Name: "client", Usage: "only packets from `ADDR` or ADDR/BITS, and those that leave for it"},
			&cli.StringFlag{Name: "reason", Usage: "only packets with these reasons or fates, with commas: `R`"},
			&cli.StringFlag{Name: "write", Aliases: []string{"w"}, Usage: "record in `FILE` as pcapng; - is the standard output"},
			&cli.IntFlag{Name: "count", DefaultText: "no end", Usage: "end after `N` packets"},
			&cli.DurationFlag{Name: "duration", DefaultText: "no end", Usage: "end after `D`"},
			&cli.IntFlag{Name: "sample", Value: 1, Usage: "only one in `N` packets, at random"},
			&cli.IntFlag{Name: "rate", Value: api.CaptureRate, Usage: "at most `N` packets a second of each CPU"},
			&cli.IntFlag{Name: "snap", Value: api.CaptureSnap, Usage: "at most `N` bytes of each packet, 64 to 2048"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error { return capture(c, e) },
	}
}

// fateWords are the fates of packets, reasonWords these and all reasons.
func fateWords() []string {
	return []string{loader.Passed, loader.Forwarded, loader.Answered, loader.Refused, loader.Dropped}
}

func reasonWords() []string { return append(fateWords(), loader.ReasonNames()...) }

func capture(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	q, err := captureQuery(c)
	if err != nil {
		return err
	}
	open, err := shower(c, e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	packets, err := api.NewClient(c.String("socket")).Capture(ctx, q)
	if err != nil {
		return err
	}
	show, done, err := open() // not before: a capture that is refused leaves an older recording alone
	if err != nil {
		return err
	}
	if d := c.Duration("duration"); d > 0 {
		defer time.AfterFunc(d, cancel).Stop()
	}
	n, last, err := showPackets(packets, c.Int("count"), show)
	if ctx.Err() != nil {
		err = nil // it was to end
	}
	cancel()
	err = errors.Join(err, done())
	fmt.Fprintln(e.stderr, account(n, last, q))
	return err
}

// captureQuery reads the flags that say what to capture.
func captureQuery(c *cli.Context) (q api.CaptureQuery, err error) {
	q = api.CaptureQuery{Config: c.String("config"), Node: c.String("node"), Snap: c.Int("snap"), Sample: c.Int("sample"), Rate: c.Int("rate")}
	for _, n := range []struct {
		name        string
		value, most int
	}{{"sample", q.Sample, 1 << 30}, {"rate", q.Rate, 1 << 30}, {"snap", q.Snap, api.CaptureSnapMax}} {
		if n.value < 1 || n.value > n.most || n.name == "snap" && n.value < api.CaptureSnapMin {
			return q, usage(c, "--%s %d: %s", n.name, n.value, values[n.name])
		}
	}
	if c.IsSet("count") && c.Int("count") < 1 {
		return q, usage(c, "--count %d: %s", c.Int("count"), values["count"])
	}
	if c.IsSet("duration") && c.Duration("duration") <= 0 {
		return q, usage(c, "--duration %s: must be more than 0", c.Duration("duration"))
	}
	if s := c.String("client"); s != "" {
		if q.Client, err = api.ParseClients(s); err != nil {
			return q, usage(c, "--client %s: must be an IP address, or a prefix as in 198.51.100.0/24", s)
		}
	}
	known := reasonWords()
	for _, r := range strings.FieldsFunc(c.String("reason"), func(r rune) bool { return r == ',' || r == ' ' }) {
		if i := slices.Index(known, r); i < 0 {
			return q, usage(c, "--reason %s: must be one of %s", r, strings.Join(known, ", "))
		}
		q.Reasons = append(q.Reasons, r)
	}
	return q, nil
}

// showPackets shows packets as they come, count of them or, with 0, without end. The last of them, or of what was
// told in between, says how many were missed.
func showPackets(packets iter.Seq2[api.Captured, error], count int, show func(api.Captured) error) (n int, last api.Captured, err error) {
	for p, err := range packets {
		if err != nil {
			return n, last, err
		}
		if last = p; p.In == nil {
			continue
		}
		if err := show(p); err != nil {
			return n, last, err
		}
		if n++; n == count {
			return n, last, nil
		}
	}
	return n, last, errors.New("the daemon has ended the capture: is it stopped?")
}

// account says how much was captured, and how much was not.
func account(n int, last api.Captured, q api.CaptureQuery) string {
	said := plural(n, "packet") + " captured"
	if q.Sample > 1 {
		said += fmt.Sprintf(", of one in %d", q.Sample)
	}
	if last.Skipped > 0 {
		said += fmt.Sprintf("; %s more came while a CPU's rate of %d a second was used up, and were not looked at", number(last.Skipped), q.Rate)
	}
	if last.Lost > 0 {
		said += fmt.Sprintf("; %s were lost because they were not taken fast enough", number(last.Lost))
	}
	return said
}

// opener opens what packets are shown on: it gives what shows one, and what is to be done at the end.
type opener func() (show func(api.Captured) error, done func() error, err error)

// shower says what packets are to be shown on, and opens nothing yet.
func shower(c *cli.Context, e env) (opener, error) {
	form, err := format(c)
	if err != nil {
		return nil, err
	}
	file := c.String("write")
	switch {
	case form == asYAML:
		return nil, usage(c, "capture goes with table or json, not with yaml")
	case file == "" && form == asJSON:
		return plainly(lineShower(e.stdout)), nil
	case file == "":
		return plainly(tableShower(e.stdout)), nil
	case c.IsSet("output"):
		return nil, usage(c, "-o and -w do not go together: what is recorded is pcapng")
	case file != "-":
		return func() (func(api.Captured) error, func() error, error) { return recordIn(file, c.Int("snap")) }, nil
	}
	if _, is := e.stdout.(terminal); is {
		return nil, usage(c, "-w -: a recording is not for a terminal: send it to a file, or a program")
	}
	return func() (func(api.Captured) error, func() error, error) {
		show, flush := recorder(e.stdout, c.Int("snap"))
		return show, flush, nil
	}, nil
}

func plainly(show func(api.Captured) error) opener {
	return func() (func(api.Captured) error, func() error, error) {
		return show, func() error { return nil }, nil
	}
}

// recordIn records in a file, which is nobody else's to read: it holds what clients sent.
func recordIn(file string, snap int) (show func(api.Captured) error, done func() error, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	show, flush := recorder(f, snap)
	return show, func() error { return errors.Join(flush(), f.Close()) }, nil
}
