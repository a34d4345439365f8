package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/scripts/lab"
)

// Interfaces of the balancer; at their other ends both are called eth0.
const (
	inName  = "client"
	outName = "nodes"
)

var (
	clientAddr = netip.MustParsePrefix("10.77.0.2/24")
	inAddr     = netip.MustParsePrefix("10.77.0.1/24")
	outAddr    = netip.MustParsePrefix("10.77.1.1/24")
	sinkAddr   = netip.MustParsePrefix("10.77.1.2/24")
)

// connect makes the namespaces and joins them. There is no IPv6, whose own messages would be counted as well.
func (b *bed) connect() (err error) {
	for name, ns := range map[string]**lab.Namespace{"client": &b.client, "balancer": &b.balancer, "nodes": &b.far} {
		if *ns, err = b.lab.Namespace(name); err != nil {
			return err
		}
		if err := (*ns).Sysctl("net/ipv6/conf/default/disable_ipv6", "1"); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	port := func(ns *lab.Namespace, name string, addr netip.Prefix) lab.Port {
		return lab.Port{Namespace: ns, Name: name, Addresses: []netip.Prefix{addr}, Queues: queues}
	}
	if err := errors.Join(
		b.lab.Connect(port(b.client, "eth0", clientAddr), port(b.balancer, inName, inAddr)),
		b.lab.Connect(port(b.far, "eth0", sinkAddr), port(b.balancer, outName, outAddr)),
	); err != nil {
		return err
	}
	if err := errors.Join(b.client.PrepareForXDP("eth0"), b.far.PrepareForXDP("eth0"), b.far.AddLocal(nodes)); err != nil {
		return err
	}
	for _, m := range []struct {
		ns   *lab.Namespace
		name string
		mac  *net.HardwareAddr
	}{{b.client, "eth0", &b.clientMAC}, {b.balancer, inName, &b.inMAC}, {b.balancer, outName, &b.outMAC}, {b.far, "eth0", &b.sinkMAC}} {
		if *m.mac, err = m.ns.MAC(m.name); err != nil {
			return err
		}
	}
	b.in, err = b.balancer.Index(inName)
	return err
}

// route has the kernel of the balancer forward, for the rows that it does alone.
func (b *bed) route() error {
	return errors.Join(
		b.balancer.Sysctl("net/ipv4/ip_forward", "1"),
		b.balancer.AddRoute(clients, clientAddr.Addr(), inName),
	)
}

// load loads the generator, what Headgate is compared with, and the sink, and has these know the network.
func (b *bed) load() error {
	spec, err := loadWire()
	if err != nil {
		return err
	}
	if err := errors.Join(spec.Variables["nat_vip"].Set(inMemory(vip)), spec.Variables["nat_port"].Set(networkOrder(vipPort))); err != nil {
		return fmt.Errorf("set the VIP of the plain NAT: %w", err)
	}
	if b.tools, err = ebpf.NewCollection(spec); err != nil {
		return fmt.Errorf("load what surrounds the program: %w", err)
	}
	for i := range nodeCount {
		macs := [12]byte(slices.Concat(b.sinkMAC, b.outMAC))
		n := wireNatNode{Macs: macs, Port: networkOrder(nodePort), Addr: inMemory(node(i))}
		if err := b.tools.Maps["nat_nodes"].Put(uint32(i), n); err != nil {
			return fmt.Errorf("set a node of the plain NAT: %w", err)
		}
	}
	out, err := b.balancer.Index(outName)
	if err != nil {
		return err
	}
	if err := b.balancer.Do(func() error { return b.tools.Maps["out"].Put(uint32(0), uint32(out)) }); err != nil {
		return fmt.Errorf("set the interface towards the nodes: %w", err)
	}
	return b.attachSink()
}

func (b *bed) attachSink() error {
	index, err := b.far.Index("eth0")
	if err != nil {
		return err
	}
	return b.far.Do(func() error {
		b.sink, err = link.AttachXDP(link.XDPOptions{Program: b.tools.Programs["sink"], Interface: index, Flags: link.XDPDriverMode})
		if err != nil {
			return fmt.Errorf("attach the sink: %w", err)
		}
		return nil
	})
}

// mayUse says whether this process may run on these CPUs.
func mayUse(cpus []int) error {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return fmt.Errorf("read the CPUs that may be used: %w", err)
	}
	for _, cpu := range cpus {
		if !set.IsSet(cpu) {
			return fmt.Errorf("%w: there is no CPU %d here that this process may use", errLeftOut, cpu)
		}
	}
	return nil
}
