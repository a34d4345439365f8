package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/gate"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// crowd are the addresses of all nodes: one host answers for them.
var crowd = netip.MustParsePrefix("10.78.0.0/16")

const (
	nodesOfConfig = 1000
	nodePort      = 8080
	patience      = 2 * time.Minute
)

// bed is a daemon with its nodes.
type bed struct {
	options
	lab    *lab.Lab
	host   *lab.Namespace // of the nodes
	gate   *gate.Gate
	client *api.Client
	pinned *loader.Maps
	tables *maps.Kernel
	ids    []uint32 // in the maps, by node
}

// close takes all of it away.
func (b *bed) close() error {
	var err error
	if b.tables != nil {
		err = b.tables.Close()
	}
	if b.pinned != nil {
		loader.CloseMaps(b.pinned)
	}
	return errors.Join(err, b.lab.Close())
}

// open starts the nodes and the daemon, and returns when all are UP.
func open(ctx context.Context, o options) (b *bed, err error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	opened := &bed{options: o, lab: l}
	b = opened
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	star, err := lab.NewStar(l, 1)
	if err != nil {
		return nil, err
	}
	b.host = star.Nodes[0]
	if err := errors.Join(
		b.host.AddLocal(crowd),
		star.Balancer.AddRoute(crowd, star.NodeAddr(1, 4), b.host.Name()),
	); err != nil {
		return nil, err
	}
	if _, err := peer.StartNode(b.host, peer.NodeOptions{Name: "all", HTTP: fmt.Sprintf("[::]:%d", nodePort)}); err != nil {
		return nil, err
	}
	binary, err := gate.Build(ctx, l.Dir())
	if err != nil {
		return nil, err
	}
	if b.gate, err = gate.New(l, star.Balancer, binary, star.Interfaces(), "flow_table: {v4: 65536, v6: 65536}\n"); err != nil {
		return nil, err
	}
	b.client = api.NewClient(b.gate.Socket)
	if err := b.gate.Configure(b.file(star.VIP(4))); err != nil {
		return nil, err
	}
	if err := b.gate.Start(ctx); err != nil {
		return nil, err
	}
	if err := b.openMaps(); err != nil {
		return nil, err
	}
	return b, b.await(ctx, "all nodes are UP", b.nodes, isUp)
}

// openMaps finds the nodes in the maps: to ask the daemon about ten thousand nodes would cost it more than to
// check them.
func (b *bed) openMaps() (err error) {
	if b.pinned, err = loader.OpenMaps(b.gate.BPFFS); err != nil {
		return err
	}
	if b.tables, err = maps.NewKernel(b.pinned); err != nil {
		return err
	}
	states, err := b.tables.Reader().Nodes()
	if err != nil {
		return err
	}
	b.ids = make([]uint32, b.nodes)
	for _, s := range states {
		a := s.Address.Addr().As4()
		b.ids[int(a[2])*250+int(a[3])-1] = s.ID
	}
	return nil
}

// address is that of node i, from 0.
func address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 78, byte(i / 250), byte(1 + i%250)})
}

func (b *bed) file(vip netip.Addr) string {
	var s strings.Builder
	fmt.Fprintf(&s, "balancers:\n  - label: crowd\n    ipv4: %s\n    configs:\n", vip)
	for first := 0; first < b.nodes; first += nodesOfConfig {
		fmt.Fprintf(&s, "      - port: %d\n        check: %s\n        check_path: /\n        check_interval: %v\n        check_timeout: %v\n        nodes:\n",
			1+first/nodesOfConfig, b.check, b.interval, b.interval/2)
		for i := first; i < min(first+nodesOfConfig, b.nodes); i++ {
			fmt.Fprintf(&s, "          - {label: n-%d, address: \"%s:%d\"}\n", i, address(i), nodePort)
		}
	}
	return s.String()
}

// await polls the first nodes in the maps until the condition holds for each.
func (b *bed) await(ctx context.Context, what string, count int, holds func(i int, n maps.Node) bool) error {
	for deadline := time.Now().Add(patience); ; {
		left := 0
		for i := range count {
			n, err := b.tables.ReadNode(b.ids[i])
			if err != nil {
				return err
			}
			if !holds(i, n) {
				left++
			}
		}
		switch {
		case left == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d nodes are left after %v until %s", left, patience, what)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

func isUp(_ int, n maps.Node) bool {
	return n.Status.Health == lb.Up && n.Status.Actions&maps.TakesNew != 0
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// figures of a while.
type figures struct {
	lag    float64 // milliseconds
	core   float64 // of one core
	memory float64 // bytes, resident
}

// watch measures the daemon for that long.
func (b *bed) watch(ctx context.Context, d time.Duration) (f figures, err error) {
	before, err := b.cpu()
	if err != nil {
		return f, err
	}
	begin := time.Now()
	if err := pause(ctx, d); err != nil {
		return f, err
	}
	after, err := b.cpu()
	if err != nil {
		return f, err
	}
	f.core = (after - before).Seconds() / time.Since(begin).Seconds()
	if f.memory, err = b.resident(); err != nil {
		return f, err
	}
	st, err := b.client.Status(ctx)
	if err != nil {
		return f, err
	}
	if st.Checks.Nodes != b.nodes {
		return f, fmt.Errorf("%d nodes are checked, not %d", st.Checks.Nodes, b.nodes)
	}
	f.lag = st.Checks.LagP99MS
	return f, nil
}

// cpu is the time that the daemon has used so far.
func (b *bed) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.gate.Daemon().PID()))
	if err != nil {
		return 0, err
	}
	// What stands before the last bracket is the name, which may hold anything; 12 and 13 words on are the ticks.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	var ticks uint64
	for _, s := range fields[11:13] {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

func (b *bed) resident() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.gate.Daemon().PID()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(data), "RssAnon:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, fmt.Errorf("read the daemon's memory: %w", err)
	}
	return kb * 1024, nil
}

// die has nodes refuse connections all at once, and gives the times from each one's last failure until the data
// path gave it no new flows, the shortest first.
func (b *bed) die(ctx context.Context) ([]time.Duration, error) {
	if err := b.await(ctx, "all nodes are UP", b.nodes, isUp); err != nil {
		return nil, err
	}
	if err := b.refuse(ctx); err != nil {
		return nil, err
	}
	out := make([]time.Time, b.options.die)
	err := b.await(ctx, "the dead take no new flows", len(out), func(i int, n maps.Node) bool {
		if out[i].IsZero() && n.Status.Actions&maps.TakesNew == 0 {
			out[i] = time.Now()
		}
		return !out[i].IsZero()
	})
	if err != nil {
		return nil, err
	}
	return b.delays(ctx, out)
}

// refuse closes the port of the first nodes.
func (b *bed) refuse(ctx context.Context) error {
	rules := fmt.Sprintf("add table ip dead; add chain ip dead in { type filter hook input priority 0; }; "+
		"add rule ip dead in ip daddr %s-%s tcp dport %d reject with tcp reset", address(0), address(b.options.die-1), nodePort)
	_, err := b.host.Run(ctx, "nft", rules)
	return err
}

// delays compares when nodes were out with when checks found them DOWN.
func (b *bed) delays(ctx context.Context, out []time.Time) ([]time.Duration, error) {
	list, err := b.client.Health(ctx, api.HealthQuery{})
	if err != nil {
		return nil, err
	}
	down := map[string]*time.Time{}
	for _, n := range list {
		if n.Health == string(lb.Down) {
			down[n.Address] = n.Since
		}
	}
	delays := make([]time.Duration, len(out))
	for i := range out {
		since := down[netip.AddrPortFrom(address(i), nodePort).String()]
		if since == nil {
			return nil, fmt.Errorf("node %d took no new flows at %v, but is not DOWN", i, out[i])
		}
		delays[i] = out[i].Sub(*since)
	}
	slices.Sort(delays)
	return delays, nil
}
