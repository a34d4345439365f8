package loader

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// A search through all source ports of a node looks at more buckets than a rehearsal has room for. So its program
// makes none (port_search_most is 0), and refuses the flow; then the search is made here, in the real table, and the
// node's counter of ports is set to what it finds.

// searched is what a search found: the number of a port, for a node.
type searched struct {
	node uint32
	port uint64
}

// Of bpf/abi.h and bpf/source_port.h.
const (
	natPortMin       = 1536
	natPortCount     = 64000
	portSearchMost   = 4 * natPortCount
	handshakeSeconds = 2

	classMask     = 7
	classHalfOpen = uint32(headgateFlowClassFLOW_HALF_OPEN)
	classClosing  = uint32(headgateFlowClassFLOW_CLOSING)
	classUDP      = uint32(headgateFlowClassFLOW_UDP)
)

// searchPort is find_anywhere of bpf/port_search.h, for the flow that the packet was to have; nil: no port may be had.
func (r *Rehearsal) searchPort() (*searched, error) {
	c, err := r.creation()
	if err != nil {
		return nil, err
	}
	var node Node
	var met, left NodeLive // as the packet met it, and after the few tries
	for _, m := range []struct {
		from *ebpf.Map
		to   any
	}{{r.real.Nodes, &node}, {r.real.NodesLive, &met}, {r.own.NodesLive, &left}} {
		if err := m.from.Lookup(c.Node, m.to); err != nil {
			return nil, fmt.Errorf("node %d: %w", c.Node, err)
		}
	}
	if hasNoPorts(&met, c.Now, r.meta.Hz) {
		return nil, nil
	}
	sources, err := r.sourcesOf(&node)
	if err != nil {
		return nil, err
	}
	var found uint64
	if node.Family == 6 {
		found, err = searchIn[Bucket6](r, c.Now, &node, sources, left.NextPort)
	} else {
		found, err = searchIn[Bucket4](r, c.Now, &node, sources, left.NextPort)
	}
	if err != nil || found == 0 {
		return nil, err
	}
	return &searched{c.Node, found}, nil
}

// hasNoPorts is has_no_ports of bpf/port_search.h.
func hasNoPorts(live *NodeLive, now, hz uint32) bool {
	age := now - live.FullAt
	if live.FullAt == 0 || age >= hz {
		return false
	}
	return live.Freed-live.FullFreed <= uint32(len(live.FreedPorts)) || age < hz/16
}

// goOnAt sets the counter of a node's ports to what a search has found.
func (r *Rehearsal) goOnAt(port *searched) error {
	if port == nil {
		return nil
	}
	var live NodeLive
	if err := r.own.NodesLive.Lookup(port.node, &live); err != nil {
		return err
	}
	live.NextPort = port.port
	return r.own.NodesLive.Put(port.node, live)
}

// creation is the flow that the packet was to have.
func (r *Rehearsal) creation() (*headgateCreation, error) {
	var cpus []headgateCreation
	if err := r.own.Creations.Lookup(uint32(0), &cpus); err != nil {
		return nil, fmt.Errorf("read a rehearsal's flow: %w", err)
	}
	for i := range cpus {
		if cpus[i].Hash != 0 {
			return &cpus[i], nil
		}
	}
	return nil, errors.New("a rehearsal's packet was to have no flow")
}

// sourcesOf returns the addresses that NAT may give flows to a node.
func (r *Rehearsal) sourcesOf(node *Node) ([]netip.Addr, error) {
	sources := make([]netip.Addr, max(1, node.SnatCount))
	for i := range sources {
		var s SNAT
		if err := r.real.Snats.Lookup(uint32(node.SnatFirst)+uint32(i), &s); err != nil {
			return nil, fmt.Errorf("source address %d: %w", int(node.SnatFirst)+i, err)
		}
		sources[i] = addrOf(s.Addr, node.Family)
	}
	return sources, nil
}

// searchIn goes once round the ports, from the number first on, and answers that of the first that may be had; or 0.
func searchIn[B bucket](r *Rehearsal, now uint32, node *Node, sources []netip.Addr, first uint64) (uint64, error) {
	flows := r.real.Flows4
	if node.Family == 6 {
		flows = r.real.Flows6
	}
	table, err := flows.Memory()
	if err != nil {
		return 0, err
	}
	to := netip.AddrPortFrom(addrOf(node.Addr, node.Family), fromNetwork(node.Port))
	for n := first; n < first+min(portSearchMost, uint64(len(sources))*natPortCount); n++ {
		source := netip.AddrPortFrom(sources[n/natPortCount%uint64(len(sources))], uint16(natPortMin+n%natPortCount))
		stamp, half, err := halfWith[B](table, flows.MaxEntries(), r.meta.Hash(to, source, node.Proto), to, source, node.Proto)
		if err != nil {
			return 0, err
		}
		if half == nil {
			return n, nil
		}
		peer, err := bucketAt[B](table, half.Peer/bucketSlots)
		if err != nil {
			return 0, err
		}
		if mayLosePort(stamp, half, halfOf(peer, half.Peer%bucketSlots), node, now, r.meta.Hz) {
			return n, nil
		}
	}
	return 0, nil
}

// mayLosePort says whether use_of_holder of bpf/source_port.h lets a search take the port that a flow holds.
func mayLosePort(stamp uint32, half, peer *Half, node *Node, now, hz uint32) bool {
	age := max(0, int32(now-stamp&^classMask))
	idle := max(0, min(int32(now-half.Seen), int32(now-peer.Seen)))
	switch stamp & classMask {
	case classHalfOpen:
		return uint32(age) >= handshakeSeconds*hz
	case classClosing:
		return true
	case classUDP:
		return uint32(idle) > node.UdpIdle
	default:
		return uint32(idle) > node.TcpIdle
	}
}
