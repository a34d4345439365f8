// Command demo shows Headgate at work on one machine, in about a minute: it builds the real program,
// makes a client, a balancer and three nodes in network namespaces, sends real connections and says
// of each claim whether it held. It needs Go and root, and leaves nothing behind.
//
// With -short it plays only the scenes that take no long download.
//
// It exits with 0 when every claim held, with 1 when one did not or something failed, and with 130
// after Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/gate"
)

func main() {
	lab.Main()
	short := flag.Bool("short", false, "only the scenes without a long download")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second Ctrl-C ends the demo at once; the lab is removed even then.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Stdout, *short))
}

func run(ctx context.Context, w io.Writer, short bool) int {
	d := &demo{out: newPrinter(w), short: short}
	err := d.run(ctx)
	switch {
	case ctx.Err() != nil:
		d.out.say("Interrupted. Everything is cleaned up.")
		return 130
	case err != nil:
		d.out.say("The demo failed: %v", err)
		return 1
	case d.out.failed > 0:
		d.out.say("%d of %d claims did not hold.", d.out.failed, d.out.claims)
		return 1
	}
	d.out.say("All %d claims held.", d.out.claims)
	return 0
}

// demo is the stage: the lab, the balancer and the nodes' servers.
type demo struct {
	out     *printer
	short   bool // without long downloads
	star    *lab.Star
	gate    *gate.Gate
	servers []*lab.Process // by node, from 0; nil: killed
}

// run is the programme.
func (d *demo) run(ctx context.Context) (err error) {
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, l.Close())
		if err == nil {
			d.out.claim(gone(l), "namespaces, processes, pins and files of the demo are gone")
		}
	}()
	scenes := []func(context.Context) error{
		func(ctx context.Context) error { return d.build(ctx, l) },
		d.start,
		d.weightedSplit,
		d.nodeKilled,
	}
	if !d.short {
		scenes = append(scenes, d.drain, d.daemonKilled, d.backup)
	}
	for _, scene := range append(scenes, d.detach) {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	d.out.scene("Cleaning up")
	return nil
}

// build makes the program and the network.
func (d *demo) build(ctx context.Context, l *lab.Lab) error {
	d.out.scene("Headgate, built from this source, in network namespaces of its own")
	binary, err := gate.Build(ctx, l.Dir())
	if err != nil {
		return err
	}
	if d.star, err = lab.NewStar(l, 3); err != nil {
		return err
	}
	for i := range d.star.Nodes {
		if err := d.startServer(i + 1); err != nil {
			return err
		}
	}
	d.gate, err = gate.New(l, d.star.Balancer, binary, d.star.Interfaces(), "flow_table: {v4: 65536, v6: 65536}\n")
	if err != nil {
		return err
	}
	d.out.lines(fmt.Sprintf(`
                                   ┌── web-1  %[3]v
client  %[1]v  ──  balancer  ──┼── web-2  %[4]v
        %-9[2]v                  └── web-3  %[5]v
Each node has an IPv6 address too. VIPs: %[6]v and %[7]v, port 80; the nodes listen on 8080.`,
		d.star.ClientAddr(4), d.star.ClientAddr(6), d.star.NodeAddr(1, 4), d.star.NodeAddr(2, 4), d.star.NodeAddr(3, 4), d.star.VIP4, d.star.VIP6))
	return nil
}

// gone says whether nothing of the lab is left.
func gone(l *lab.Lab) bool {
	left, err := lab.Leftovers(l.ID())
	return err == nil && len(left) == 0
}
