package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// The long download: long enough to do things in its course.
const (
	downloadBytes = 24 << 20
)

// Times of the demo. HEADGATE_DEMO_PACE multiplies them, for machines on which everything takes longer: emulated ones.
var (
	downloadTime  = 6 * time.Second * pace()        // of a download
	checkInterval = 300 * time.Millisecond * pace() // of nodes
	checkTimeout  = 200 * time.Millisecond * pace()
	patience      = 10 * time.Second * pace() // with anything that should take a moment
)

func pace() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("HEADGATE_DEMO_PACE")); err == nil && n > 0 {
		return time.Duration(n)
	}
	return 1
}

var balancers = fmt.Sprintf(`balancers:
  - label: web
    ipv4: 203.0.113.10
    ipv6: 2001:db8::10
    configs:
      - port: 80
        check: connection
        check_interval: %v
        check_timeout: %v
        check_attempts: 2
        nodes:
          - {label: web-1, address: "10.77.1.2:8080", weight: 5}
          - {label: web-2, address: "10.77.2.2:8080", weight: 3}
          - {label: web-3, address: "10.77.3.2:8080", weight: 2}
          - {label: web6-1, address: "[fd77:0:0:1::2]:8080", weight: 5}
          - {label: web6-2, address: "[fd77:0:0:2::2]:8080", weight: 3}
          - {label: web6-3, address: "[fd77:0:0:3::2]:8080", weight: 2}
`, checkInterval, checkTimeout)

// start starts the daemon on the file and waits for healthy nodes.
func (d *demo) start(ctx context.Context) error {
	d.out.scene("The daemon starts: XDP on every interface of the balancer, nodes checked")
	if err := d.gate.Configure(balancers); err != nil {
		return err
	}
	d.out.command("run -c headgate.yaml &")
	if err := d.gate.Start(ctx); err != nil {
		return err
	}
	if err := d.await(ctx, "all nodes UP", func(n api.Node) bool { return n.Health == "UP" && n.TakesNew }); err != nil {
		return err
	}
	return d.showStatus(ctx)
}

func (d *demo) weightedSplit(ctx context.Context) error {
	d.out.scene("Weights 5, 3 and 2: a hundred connections over each of IPv4 and IPv6")
	for _, family := range []int{4, 6} {
		r, err := d.connections(ctx, family, 100)
		if err != nil {
			return err
		}
		d.out.claim(r.Failed == 0 && r.Nodes["web-1"] == 50 && r.Nodes["web-2"] == 30 && r.Nodes["web-3"] == 20,
			"IPv%d: exactly 50, 30, 20 (%s)", family, account(r))
	}
	return nil
}

func (d *demo) nodeKilled(ctx context.Context) error {
	d.out.scene("web-1's server is killed")
	begin := time.Now()
	if err := d.stopServer(1); err != nil {
		return err
	}
	err := d.await(ctx, "web-1 DOWN", func(n api.Node) bool { return !onNode(n, 1) || n.Health == "DOWN" && !n.TakesNew })
	if err != nil {
		return err
	}
	d.out.say("out after %v (two checks, %v apart)", time.Since(begin).Round(10*time.Millisecond), checkInterval)
	r, err := d.connections(ctx, 4, 50)
	if err != nil {
		return err
	}
	d.out.claim(r.Failed == 0 && r.Nodes["web-2"] == 30 && r.Nodes["web-3"] == 20, "the others share 3 to 2, none of 50 connections fails (%s)", account(r))
	if err := d.showStatus(ctx); err != nil {
		return err
	}
	if err := d.startServer(1); err != nil {
		return err
	}
	return d.await(ctx, "web-1 UP again", func(n api.Node) bool { return n.Health == "UP" })
}

func (d *demo) drain(ctx context.Context) error {
	d.out.scene("A node is drained during a long download")
	download, err := d.download(ctx)
	if err != nil {
		return err
	}
	node := download.Node()
	d.out.say("a download of %d MB over %v runs from %s", downloadBytes>>20, downloadTime, node)
	if err := d.command(ctx, "node", "set", "web/80/"+node, "--mode", "drain", "--wait"); err != nil {
		return err
	}
	r, err := d.connections(ctx, 4, 60)
	if err != nil {
		return err
	}
	d.out.claim(r.Failed == 0 && r.Nodes[node] == 0, "none of 60 new connections comes to %s (%s)", node, account(r))
	n, err := d.gate.Node(ctx, "web/80/"+node)
	if err != nil {
		return err
	}
	d.out.claim(n.ActiveFlows == 1 && download.Running(), "%s still has the download: %d active flow, %.0f MB so far", node, n.ActiveFlows, megabytes(download))
	if err := d.claimWhole(ctx, download); err != nil {
		return err
	}
	return d.command(ctx, "node", "set", "web/80/"+node, "--mode", "accept", "--wait")
}

func (d *demo) daemonKilled(ctx context.Context) error {
	d.out.scene("The daemon is killed with -9 during a download")
	download, err := d.download(ctx)
	if err != nil {
		return err
	}
	if err := d.gate.Kill(); err != nil {
		return err
	}
	d.out.say("the daemon is dead; XDP goes on with its last table")
	r, err := d.connections(ctx, 4, 100)
	if err != nil {
		return err
	}
	d.out.claim(r.Failed == 0 && r.Nodes["web-1"] == 50, "without a daemon: none of 100 new connections fails (%s)", account(r))
	if err := d.gate.Start(ctx); err != nil {
		return err
	}
	d.out.say("a new daemon has taken over what the old one left in bpffs")
	if r, err = d.connections(ctx, 6, 100); err != nil {
		return err
	}
	d.out.claim(r.Failed == 0 && download.Running(), "with the new daemon: none of 100 fails, the download still runs: %.0f MB so far", megabytes(download))
	return d.claimWhole(ctx, download)
}

func (d *demo) backup(ctx context.Context) error {
	d.out.scene("web-3 becomes a backup")
	if err := d.command(ctx, "node", "set", "web/80/web-3", "--mode", "backup", "--wait"); err != nil {
		return err
	}
	r, err := d.connections(ctx, 4, 40)
	if err != nil {
		return err
	}
	d.out.claim(r.Failed == 0 && r.Nodes["web-3"] == 0, "while others live it gets nothing (%s)", account(r))
	d.out.say("the servers of web-1 and web-2 are killed")
	if err := errors.Join(d.stopServer(1), d.stopServer(2)); err != nil {
		return err
	}
	active := func(n api.Node) bool { return n.Name != "web/80/web-3" || n.TakesNew }
	if err := d.await(ctx, "web-3 active", active); err != nil {
		return err
	}
	if r, err = d.connections(ctx, 4, 40); err != nil {
		return err
	}
	d.out.claim(r.Failed == 0 && r.Nodes["web-3"] == 40, "web-3 takes over (%s)", account(r))
	if err := errors.Join(d.startServer(1), d.startServer(2)); err != nil {
		return err
	}
	rests := func(n api.Node) bool { return n.Health == "UP" && n.TakesNew == (n.Name != "web/80/web-3") }
	if err := d.await(ctx, "web-1 and web-2 UP, web-3 passive", rests); err != nil {
		return err
	}
	if r, err = d.connections(ctx, 4, 40); err != nil {
		return err
	}
	d.out.claim(r.Failed == 0 && r.Nodes["web-3"] == 0, "the others are back, web-3 rests (%s)", account(r))
	return nil
}

func (d *demo) detach(ctx context.Context) error {
	d.out.scene("Headgate leaves")
	if err := d.gate.Stop(); err != nil {
		return err
	}
	r, err := d.connections(ctx, 4, 20)
	if err != nil {
		return err
	}
	d.out.claim(r.Failed == 0, "the daemon has stopped in order, and the data path goes on (%s)", account(r))
	if err := d.command(ctx, "detach", "--yes"); err != nil {
		return err
	}
	bare := true
	for _, name := range d.star.Interfaces() {
		on, _, err := d.star.Balancer.XDP(name)
		if err != nil {
			return err
		}
		bare = bare && !on
	}
	d.out.claim(bare, "no interface has an XDP program any more")
	return nil
}

// connections makes that many connections, one after another, each with one request.
func (d *demo) connections(ctx context.Context, family, count int) (peer.Report, error) {
	return peer.RunLoad(ctx, d.star.Client, peer.Load{Network: "tcp", Address: d.vip(family), Workers: 1, Count: count})
}

func (d *demo) download(ctx context.Context) (*peer.Download, error) {
	return peer.StartDownload(ctx, d.star.Client, d.vip(4), downloadBytes, downloadTime)
}

// claimWhole waits for the end of a download. Its error is that of an interrupted demo.
func (d *demo) claimWhole(ctx context.Context, download *peer.Download) error {
	err := download.Wait(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		d.out.say("%v", err)
	}
	d.out.claim(err == nil, "the download ends whole: %d MB, SHA-256 as it should be", downloadBytes>>20)
	return nil
}

func (d *demo) vip(family int) string { return net.JoinHostPort(d.star.VIP(family).String(), "80") }

// command runs a headgate command in front of the public.
func (d *demo) command(ctx context.Context, args ...string) error {
	d.out.command(args...)
	_, err := d.gate.CLI(ctx, args...)
	return err
}

func (d *demo) showStatus(ctx context.Context) error {
	d.out.command("status")
	out, err := d.gate.CLI(ctx, "status")
	if err != nil {
		return err
	}
	d.out.lines(out)
	return nil
}

// await polls status until every node satisfies the condition.
func (d *demo) await(ctx context.Context, what string, holds func(api.Node) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s, err := d.gate.Status(ctx)
		if err == nil && all(s.Nodes(), holds) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: %w", what, ctx.Err()), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func all(nodes []api.Node, holds func(api.Node) bool) bool {
	for _, n := range nodes {
		if !holds(n) {
			return false
		}
	}
	return true
}

// onNode says whether a node of the config, of either family, is served by server i.
func onNode(n api.Node, i int) bool { return strings.HasSuffix(n.Label, fmt.Sprintf("-%d", i)) }

func (d *demo) startServer(i int) error {
	p, err := peer.StartNode(d.star.Nodes[i-1], peer.NodeOptions{Name: fmt.Sprintf("web-%d", i), HTTP: "[::]:8080"})
	if err != nil {
		return err
	}
	if d.servers == nil {
		d.servers = make([]*lab.Process, len(d.star.Nodes))
	}
	d.servers[i-1] = p
	return nil
}

func (d *demo) stopServer(i int) error { return d.servers[i-1].Kill() }

// account is a report in a few words.
func account(r peer.Report) string {
	words := []string{}
	for i := 1; i <= 3; i++ {
		words = append(words, fmt.Sprintf("web-%d: %d", i, r.Nodes[fmt.Sprintf("web-%d", i)]))
	}
	if r.Failed > 0 {
		words = append(words, fmt.Sprintf("failed: %v", r.Failures))
	}
	return strings.Join(words, ", ")
}

func megabytes(d *peer.Download) float64 { return float64(d.Bytes()) / (1 << 20) }
