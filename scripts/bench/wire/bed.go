package main

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/scripts/lab"
)

const (
	nodeCount = 16
	vipPort   = 80
	nodePort  = 8080
	queues    = 2 // of each interface: one for each core that sends
)

var (
	vip     = netip.MustParseAddr("203.0.113.10")
	clients = netip.MustParsePrefix("198.18.0.0/16") // the benchmarks' own, RFC 2544
	nodes   = netip.MustParsePrefix("10.77.1.16/28")
	snats   = netip.MustParsePrefix("10.77.2.4/30") // 64,000 ports each for a node: more than flows in the table
)

// bed is a balancer between a client and nodes, with Headgate's tables filled by its daemon, which then ends: what
// is measured is the data path, alone on its core.
type bed struct {
	lab                               *lab.Lab
	client, balancer, far             *lab.Namespace
	in                                int // index of the balancer's interface towards the client
	clientMAC, inMAC, outMAC, sinkMAC net.HardwareAddr
	tools                             *ebpf.Collection
	sink                              link.Link
	headgate                          *ebpf.Program
	tables                            *loader.Maps
}

func node(i int) netip.Addr {
	a := nodes.Addr().As4()
	a[3] += byte(i)
	return netip.AddrFrom4(a)
}

// inMemory is an address as packets have it.
func inMemory(a netip.Addr) uint32 { return binary.NativeEndian.Uint32(a.AsSlice()) }

func networkOrder(port uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, port))
}

// open makes the network and everything in it, with a flow table of so many entries, and returns when packets that a CPU
// sends come through Headgate.
func open(ctx context.Context, cpu int, entries uint32) (b *bed, err error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	b = &bed{lab: l}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if err := b.connect(); err != nil {
		return b, err
	}
	if err := b.route(); err != nil {
		return b, err
	}
	if err := b.load(); err != nil {
		return b, err
	}
	return b, b.serve(ctx, cpu, entries)
}

// close takes all of it away.
func (b *bed) close() error {
	var errs []error
	if b.sink != nil {
		errs = append(errs, b.sink.Close())
	}
	if b.tables != nil {
		loader.CloseMaps(b.tables)
	}
	if b.headgate != nil {
		errs = append(errs, b.headgate.Close())
	}
	if b.tools != nil {
		b.tools.Close()
	}
	return errors.Join(append(errs, b.lab.Close())...)
}
