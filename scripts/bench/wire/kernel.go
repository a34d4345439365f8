package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/headgate/headgate/scripts/lab"
)

// trackedFlows is how many new flows a row of the kernel's NAT opens: half of what the kernel tracks by default on
// machines of more than four gigabytes (nf_conntrack_init_start()).
const trackedFlows = 1 << 17

// The kernel's own ways: forwarding alone, and NAT of tracked connections by nftables.
var (
	routed  state = router{}
	tracked state = conntrack{}
)

// router is forwarding alone, which is on all the time.
type router struct{ stateless }

type conntrack struct{}

// ruleset sends each new flow to the next node. The kernel tracks connections only where there are such rules.
func ruleset() string {
	var to []string
	for i := range nodeCount {
		to = append(to, fmt.Sprintf("%d : %v", i, node(i)))
	}
	return fmt.Sprintf(`table ip wire {
	chain in {
		type nat hook prerouting priority dstnat
		ip daddr %v udp dport %d dnat to numgen inc mod %d map { %s } : %d
	}
}`, vip, vipPort, nodeCount, strings.Join(to, ", "), nodePort)
}

func (conntrack) begin(b *bed) error {
	limit, err := b.balancer.ConntrackLimit()
	if err != nil {
		return fmt.Errorf("%w: the kernel tracks no connections: %w", errLeftOut, err)
	}
	if limit < trackedFlows {
		return fmt.Errorf("%w: the kernel tracks %d connections at most (net.netfilter.nf_conntrack_max), fewer than %d", errLeftOut, limit, trackedFlows)
	}
	if err := nft(b, ruleset()); err != nil {
		return fmt.Errorf("%w: %w", errLeftOut, err)
	}
	// A network card has looked at the checksums already; no veth does.
	return b.balancer.Sysctl("net/netfilter/nf_conntrack_checksum", "0")
}

func (conntrack) end(b *bed) error {
	if err := nft(b, "delete table ip wire"); err != nil {
		return err
	}
	return b.balancer.ForgetConntracked()
}

func nft(b *bed, commands string) error {
	_, err := b.balancer.RunCommand(context.Background(), lab.Command{Path: "nft", Args: []string{"-f", "-"}, Stdin: strings.NewReader(commands)})
	return err
}

func (conntrack) forget(b *bed) error { return b.balancer.ForgetConntracked() }

func (conntrack) during(b *bed, want packets, f func() error) error {
	before, err := b.balancer.Conntracked()
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	after, err := b.balancer.Conntracked()
	if err != nil {
		return err
	}
	if uint64(after-before) != want.opening {
		return fmt.Errorf("void: %d connections should have been new to the kernel, but %d were", want.opening, after-before)
	}
	return nil
}
