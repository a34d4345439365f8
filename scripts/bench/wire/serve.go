package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/scripts/lab/gate"
)

const (
	readyWithin = 10 * time.Second
	readyFlows  = 1 << 10
)

// serve has Headgate's daemon fill its tables from a file, the one of flows with so many entries, and opens them and the
// program that it attached.
func (b *bed) serve(ctx context.Context, cpu int, entries uint32) error {
	binary, err := gate.Build(ctx, b.lab.Dir())
	if err != nil {
		return err
	}
	var sources []string
	for a := snats.Addr(); snats.Contains(a); a = a.Next() {
		sources = append(sources, a.String())
	}
	head := fmt.Sprintf("snat: [%s]\nflow_table: {v4: %d, v6: 1024}\n", strings.Join(sources, ", "), entries)
	g, err := gate.New(b.lab, b.balancer, binary, []string{inName, outName}, head)
	if err != nil {
		return err
	}
	if err := g.Configure(file()); err != nil {
		return err
	}
	if err := g.Start(ctx); err != nil {
		return err
	}
	if b.tables, err = loader.OpenMaps(g.BPFFS); err != nil {
		return err
	}
	_, id, err := b.balancer.XDP(inName)
	if err != nil {
		return err
	}
	if b.headgate, err = ebpf.NewProgramFromID(ebpf.ProgramID(id)); err != nil {
		return fmt.Errorf("open the program that the daemon attached: %w", err)
	}
	if err := b.await(ctx, cpu); err != nil {
		return err
	}
	return g.Stop()
}

// file declares the VIP for UDP and TCP, with all nodes.
func file() string {
	var s strings.Builder
	fmt.Fprintf(&s, "balancers:\n  - label: wire\n    ipv4: %v\n    configs:\n", vip)
	for _, protocol := range []string{"udp", "tcp"} {
		fmt.Fprintf(&s, "      - port: %d\n        protocol: %s\n        udp_idle: 5m\n        nodes:\n", vipPort, protocol)
		for i := range nodeCount {
			fmt.Fprintf(&s, "          - {label: node-%d, address: \"%v:%d\"}\n", i, node(i), nodePort)
		}
	}
	return s.String()
}

// await sends flows through Headgate until all of them are established: its daemon has resolved every node's MAC.
func (b *bed) await(ctx context.Context, cpu int) error {
	r := row{subject: headgate, flows: readyFlows}
	for deadline := time.Now().Add(readyWithin); ; {
		err := r.forget(b)
		if err == nil {
			err = r.establish(b, cpu)
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
