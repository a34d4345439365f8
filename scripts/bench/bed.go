package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/headgate/headgate/loader"
)

// Addresses and sizes of the bench. The last bytes of client addresses are 0: the harness fills them.
const (
	services     = 3
	nodes        = 3  // of each
	sources      = 16 // SNAT addresses; 64,000 ports each
	natPortMin   = 1536
	natPortCount = 64000
	clients      = 1 << 19 // that stick, or are throttled: twice as many as do
	loopback     = 1       // the interface that test runs come from
)

// Flags of a service's word.
const (
	flagStick    = 8 << 56
	flagThrottle = 16 << 56
)

var (
	vip4    = netip.MustParseAddr("203.0.113.10")
	vip6    = netip.MustParseAddr("2001:db8::10")
	client4 = netip.MustParseAddr("10.0.0.0")
	client6 = netip.MustParseAddr("2001:db8:c::")
	other4  = netip.MustParseAddr("198.51.100.1")
	node4   = netip.MustParseAddr("192.0.2.1") // the first; the next follow
	node6   = netip.MustParseAddr("2001:db8:2::1")
	snat4   = netip.MustParseAddr("192.0.3.0")
	snat6   = netip.MustParseAddr("2001:db8:3::")
)

// bed is the program under test, with tables of its own, and the harness around it.
type bed struct {
	program *ebpf.Collection
	harness *ebpf.Collection
	found   [services]loader.VIPKey // where each service is
}

// openBed loads both. A table of few entries is full at once.
func openBed(entries uint32) (*bed, error) {
	program, err := loader.Unpinned(loader.Options{FlowsV4: entries, FlowsV6: entries, Sticks: clients, Throttles: clients})
	if err != nil {
		return nil, err
	}
	spec, err := loadBench()
	if err != nil {
		return nil, err
	}
	spec.Maps["lines"].MaxEntries = entries / 8
	if err := spec.Variables["lines_mask"].Set(entries/8 - 1); err != nil {
		return nil, fmt.Errorf("set the size of the table of lines: %w", err)
	}
	harness, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the harness: %w", err)
	}
	b := &bed{program: program, harness: harness}
	return b, b.fill()
}

func (b *bed) close() {
	b.program.Close()
	b.harness.Close()
}

func (b *bed) put(name string, key, value any) error {
	if err := b.program.Maps[name].Put(key, value); err != nil {
		return fmt.Errorf("fill map %s: %w", name, err)
	}
	return nil
}

// addr16 lays an address out as the maps hold it.
func addr16(a netip.Addr) (b [16]byte) {
	copy(b[:], a.AsSlice())
	return b
}

// next adds n to an address's last two bytes.
func next(a netip.Addr, n int) netip.Addr {
	b := a.AsSlice()
	last := b[len(b)-2:]
	binary.BigEndian.PutUint16(last, binary.BigEndian.Uint16(last)+uint16(n))
	moved, _ := netip.AddrFromSlice(b)
	return moved
}

func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}

// fill writes one service for each VIP and protocol, with its nodes. All leave by the interface that
// the packets come from, so that the verdict is XDP_TX as the floor's is.
func (b *bed) fill() error {
	link := loader.LinkEntry{Ifindex: loopback, Mac: [6]uint8{2, 0, 0, 0, 0, 1}, Mtu: 1500}
	if err := b.put("links", uint32(loopback), link); err != nil {
		return err
	}
	if err := b.fillOurs(); err != nil {
		return err
	}
	id := uint32(1)
	for service, s := range []struct {
		vip, node, snat netip.Addr
		proto           uint8
	}{{vip4, node4, snat4, protoTCP}, {vip4, node4, snat4, protoUDP}, {vip6, node6, snat6, protoTCP}} {
		for i := range nodes {
			if err := b.fillNode(id+uint32(i), service, next(s.node, i), s.proto); err != nil {
				return err
			}
		}
		if err := b.putTable(service, id, id+1, id+2); err != nil {
			return err
		}
		b.found[service] = loader.VIPKey{Addr: addr16(s.vip), Port: networkOrder(80), Proto: s.proto, Family: family(s.vip)}
		if err := b.useTable(service); err != nil {
			return err
		}
		if err := b.put("vips", b.found[service], uint32(service)); err != nil {
			return err
		}
		id += nodes
	}
	return nil
}

// useTable commits the sequence of a service.
func (b *bed) useTable(service int) error {
	return b.putService(service, 0)
}

// putTable makes the sequence of a service: one word of slots, at the service's own number.
func (b *bed) putTable(service int, first, second, third uint32) error {
	return b.put("slots", uint32(service), packed(uint64(first), uint64(second), uint64(third)))
}

// putService writes a service's word with these flags, and what they mean: clients stick for very long, and open as
// many flows as a throttle ever allows.
func (b *bed) putService(service int, flags uint64) error {
	return b.put("services", uint32(service), loader.Service{
		Word: flags | uint64(nodes)<<32 | uint64(service), Vip: b.found[service],
		Stick: loader.StickPolicy{Ttl: 1 << 30, Tier: 2}, Throttle: loader.ThrottlePolicy{Group: 1, Rate: 20},
	})
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return 4
	}
	return 6
}

func (b *bed) fillNode(id uint32, service int, address netip.Addr, proto uint8) error {
	first := uint16(0)
	if address.Is6() {
		first = sources
	}
	n := loader.Node{
		Hop: uint64(loopback)<<48 | 0x060000000002, Addr: addr16(address), Port: networkOrder(8080),
		Family: family(address), Proto: proto, Service: uint32(service),
		TcpIdle: 1 << 30, UdpIdle: 1 << 30, Weight: 500, MaxConns: 1 << 30, SnatFirst: first, SnatCount: sources,
	}
	n.Status.Health, n.Status.Lifecycle, n.Status.Actions = 1, 1, 1|8 // UP, present, takes new flows and those of clients that stick
	return b.put("nodes", id, n)
}

// fillOurs sets every bit but that of the address that is not ours, and writes the SNAT addresses.
func (b *bed) fillOurs() error {
	for i := range sources {
		if err := b.put("snats", uint32(i), loader.SNAT{Addr: addr16(next(snat4, i))}); err != nil {
			return err
		}
		if err := b.put("snats", uint32(sources+i), loader.SNAT{Addr: addr16(next(snat6, i))}); err != nil {
			return err
		}
	}
	other := other4.As4()
	bit := uint64(binary.LittleEndian.Uint32(other[:])) * 0x9E3779B97F4A7C15 >> 48
	for word := range uint32(1024) {
		bits := ^uint64(0)
		if uint64(word) == bit>>6 {
			bits &^= 1 << (bit & 63)
		}
		if err := b.put("ours", word, bits); err != nil {
			return err
		}
	}
	return nil
}

// reset empties the flow tables and the counters of source ports, and has new flows chosen by a sequence.
func (b *bed) reset() error {
	for _, name := range []string{"flows4", "flows6", "nodes_live"} {
		memory, err := b.program.Maps[name].Memory()
		if err != nil {
			return fmt.Errorf("clear %s: %w", name, err)
		}
		zero, size := make([]byte, 1<<20), int(memory.Size())
		for at := 0; at < size; at += len(zero) {
			if _, err := memory.WriteAt(zero[:min(len(zero), size-at)], int64(at)); err != nil {
				return fmt.Errorf("clear %s: %w", name, err)
			}
		}
	}
	return b.useTable(0)
}

// forget empties the stick table.
func (b *bed) forget() error {
	var keys []loader.StickKey
	var key loader.StickKey
	var entry loader.StickEntry
	sticks := b.program.Maps["sticks"]
	each := sticks.Iterate()
	for each.Next(&key, &entry) {
		keys = append(keys, key)
	}
	if err := each.Err(); err != nil {
		return fmt.Errorf("read sticks: %w", err)
	}
	for len(keys) > 0 {
		n, err := sticks.BatchDelete(keys, nil)
		if err != nil {
			return fmt.Errorf("clear sticks: %w", err)
		}
		keys = keys[n:]
	}
	return nil
}

// counts is how many packets met each reason so far.
func (b *bed) counts() (map[string]uint64, error) {
	var perCPU []loader.Reasons
	if err := b.program.Maps["reasons"].Lookup(uint32(0), &perCPU); err != nil {
		return nil, fmt.Errorf("read the counters: %w", err)
	}
	total := map[string]uint64{}
	for i, name := range loader.ReasonNames() {
		for _, c := range perCPU {
			total[name] += c.Packets[i]
		}
	}
	return total, nil
}
