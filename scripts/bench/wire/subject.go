package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/pkg/packet"
)

// subject is who has a packet go from the injector to the sink.
type subject struct {
	program string     // of ours, that the injector calls; empty: Headgate's own
	to      netip.Addr // destination of the packets
	arrive  way
	state
}

// way is what a packet must look like where it arrives.
type way struct {
	source, destination netip.Prefix
	port                uint16
	macs                bool // addressed to the sink's interface
}

var (
	bare     = subject{program: "redirect", to: vip, arrive: way{clients, host(vip), vipPort, false}, state: stateless{}}
	plain    = subject{program: "plain_nat", to: vip, arrive: way{clients, nodes, nodePort, true}, state: stateless{}}
	headgate = subject{to: vip, arrive: way{snats, nodes, nodePort, true}, state: reasons{}}
	// The client's packets name a node, since forwarding changes none of their addresses.
	forwarding = subject{program: "to_kernel", to: nodes.Addr(), arrive: way{clients, nodes, vipPort, true}, state: routed}
	nftables   = subject{program: "to_kernel", to: vip, arrive: way{clients, nodes, nodePort, true}, state: tracked}
)

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// underTest is the program that the injector calls.
func (s subject) underTest(b *bed) *ebpf.Program {
	if s.program == "" {
		return b.headgate
	}
	return b.tools.Programs[s.program]
}

// verify says what is wrong with a frame that has arrived: where it goes and comes from, and its checksums, by an
// implementation that is none of those under test.
func (w way) verify(frame []byte, mac net.HardwareAddr) error {
	if err := packet.Verify(frame); err != nil {
		return fmt.Errorf("a frame arrived with a wrong checksum: %w\n%s", err, packet.Decode(frame))
	}
	source, destination := netip.AddrFrom4([4]byte(frame[26:30])), netip.AddrFrom4([4]byte(frame[30:34]))
	port := uint16(frame[36])<<8 | uint16(frame[37])
	if !w.source.Contains(source) || !w.destination.Contains(destination) || port != w.port {
		return fmt.Errorf("a frame arrived from %v for %v port %d, not from %v for %v port %d\n%s",
			source, destination, port, w.source, w.destination, w.port, packet.Decode(frame))
	}
	if w.macs && !bytes.Equal(frame[:6], mac) {
		return fmt.Errorf("a frame arrived for the MAC address %v, not %v\n%s", net.HardwareAddr(frame[:6]), mac, packet.Decode(frame))
	}
	return nil
}
