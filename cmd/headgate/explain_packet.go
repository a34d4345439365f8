package main

import (
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/packet"
)

// flagWords are TCP's flags, in the order of their bits.
var flagWords = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"}

// askedFrame gives the frame that a command line asks about.
func askedFrame(c *cli.Context, e env) ([]byte, error) {
	given := slices.DeleteFunc([]string{"hex", "pcap", "src"}, func(name string) bool { return !c.IsSet(name) })
	if len(given) > 1 {
		return nil, usage(c, "--%s and --%s do not go together", given[0], given[1])
	}
	switch {
	case c.IsSet("hex"):
		return hexFrame(c, e)
	case c.IsSet("pcap"):
		return recordedFrame(c, e)
	case !c.IsSet("src") || !c.IsSet("dst"):
		return nil, usage(c, "explain needs a packet: --src and --dst, or --hex, or --pcap")
	}
	p, err := describedPacket(c)
	if err != nil {
		return nil, err
	}
	frame, err := p.Encode()
	if err != nil {
		return nil, usage(c, "%v", err)
	}
	return frame, nil
}

// hexFrame reads digits as tcpdump -XX, Wireshark and people write them: in any groups.
func hexFrame(c *cli.Context, e env) ([]byte, error) {
	text := c.String("hex")
	if text == "-" {
		data, err := io.ReadAll(e.stdin)
		if err != nil {
			return nil, err
		}
		text = string(data)
	}
	digits := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == ':' {
			return -1
		}
		return r
	}, text)
	frame, err := hex.DecodeString(strings.TrimPrefix(digits, "0x"))
	if err != nil {
		return nil, usage(c, "--hex: must be pairs of hexadecimal digits: %v", err)
	}
	return frame, nil
}

func recordedFrame(c *cli.Context, e env) ([]byte, error) {
	in, name := e.stdin, standardInput
	if path := c.String("pcap"); path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in, name = f, path
	}
	if n := c.Int("number"); n < 1 {
		return nil, usage(c, "--number %d: packets are counted from 1", n)
	}
	frame, err := packet.ReadRecorded(in, c.Int("number"))
	if err != nil {
		return nil, usage(c, "--pcap %s: %v", name, err)
	}
	return frame, nil
}

// Addresses of the Ethernet header, which the data path does not look at, but for answers.
var someoneMAC, ourMAC = packet.MAC{2, 0, 0, 0, 0, 2}, packet.MAC{2, 0, 0, 0, 0, 1}

// describedPacket makes a packet of the flags.
func describedPacket(c *cli.Context) (packet.Packet, error) {
	proto := c.String("proto")
	if !slices.Contains([]string{"tcp", "udp", "icmp"}, proto) {
		return nil, usage(c, "--proto %s: must be tcp, udp or icmp", proto)
	}
	src, err := askedAddress(c, "src", proto != "icmp")
	if err != nil {
		return nil, err
	}
	dst, err := askedAddress(c, "dst", proto != "icmp")
	if err != nil {
		return nil, err
	}
	if src.Addr().Is4() != dst.Addr().Is4() {
		return nil, usage(c, "--src %s --dst %s: both must be IPv4, or both IPv6", src, dst)
	}
	if n := c.Int("ttl"); n < 0 || n > 255 {
		return nil, usage(c, "--ttl %d: must be from 0 to 255", n)
	}
	if n := c.Int("payload"); n < 0 || n > 3000 {
		return nil, usage(c, "--payload %d: must be from 0 to 3000", n)
	}
	transport, err := askedTransport(c, proto, src, dst)
	if err != nil {
		return nil, err
	}
	p := packet.Packet{&packet.Ethernet{Src: someoneMAC, Dst: ourMAC}}
	if c.Bool("error") {
		if proto == "icmp" || c.IsSet("fragment") {
			return nil, usage(c, "--error goes with --proto tcp or udp alone")
		}
		return append(p, tooBig(uint8(c.Int("ttl")), src, dst, transport)...), nil
	}
	return append(p, fragmented(c, src, dst, transport)...), fragmentFault(c)
}

func askedAddress(c *cli.Context, name string, port bool) (netip.AddrPort, error) {
	text := c.String(name)
	if port {
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return a, usage(c, "--%s %s: must be ADDRESS:PORT, with brackets around an IPv6 address", name, text)
		}
		return a, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.AddrPort{}, usage(c, "--%s %s: must be an IP address: a ping has no port", name, text)
	}
	return netip.AddrPortFrom(a, 0), nil
}

// askedTransport is all that is behind the IP header.
func askedTransport(c *cli.Context, proto string, src, dst netip.AddrPort) (packet.Packet, error) {
	payload := &packet.Data{Bytes: make([]byte, c.Int("payload"))}
	switch proto {
	case "udp":
		return packet.Packet{&packet.UDP{Src: src.Port(), Dst: dst.Port()}, payload}, nil
	case "icmp":
		kind := uint8(8)
		if src.Addr().Is6() {
			kind = 128
		}
		return packet.Packet{&packet.ICMP{V6: src.Addr().Is6(), Type: kind, Rest: 1<<16 | 1}, payload}, nil
	}
	tcp := &packet.TCP{Src: src.Port(), Dst: dst.Port(), Seq: 1, Window: 64240}
	for _, word := range strings.Split(c.String("flags"), ",") {
		i := slices.Index(flagWords, strings.ToLower(strings.TrimSpace(word)))
		if i < 0 {
			return nil, usage(c, "--flags %s: must be of %s, with commas", c.String("flags"), strings.Join(flagWords, ", "))
		}
		tcp.Flags |= 1 << i
	}
	if tcp.Flags&packet.ACK != 0 {
		tcp.Ack = 1
	}
	return packet.Packet{tcp, payload}, nil
}

func network(ttl uint8, src, dst netip.Addr) packet.Layer {
	if src.Is4() {
		return &packet.IPv4{Src: src, Dst: dst, TTL: ttl, DF: true}
	}
	return &packet.IPv6{Src: src, Dst: dst, HopLimit: ttl}
}

func fragmentFault(c *cli.Context) error {
	if f := c.String("fragment"); f != "" && f != "first" && f != "later" {
		return usage(c, "--fragment %s: must be first or later", f)
	}
	return nil
}

// fragmented puts the IP header before the transport's, as a fragment if asked for. A later one has no ports.
func fragmented(c *cli.Context, src, dst netip.AddrPort, transport packet.Packet) packet.Packet {
	ip := network(uint8(c.Int("ttl")), src.Addr(), dst.Addr())
	which := c.String("fragment")
	if which == "" {
		return append(packet.Packet{ip}, transport...)
	}
	const id, offset = 1, 185 // of 8 bytes: behind 1,480
	later := which == "later"
	next := packet.Give(map[string]uint16{"tcp": packet.ProtoTCP, "udp": packet.ProtoUDP, "icmp": packet.ProtoICMP}[c.String("proto")])
	rest := packet.Packet{&packet.Data{Bytes: make([]byte, 8)}}
	if v4, ok := ip.(*packet.IPv4); ok {
		v4.DF, v4.ID, v4.MF = false, id, !later
		if !later {
			return append(packet.Packet{v4}, transport...)
		}
		v4.Offset, v4.Protocol = offset, next
		return append(packet.Packet{v4}, rest...)
	}
	f := &packet.Fragment{ID: id, More: !later}
	if !later {
		return append(packet.Packet{ip, f}, transport...)
	}
	f.Offset, f.Next = offset, next
	return append(packet.Packet{ip, f}, rest...)
}

// tooBig is the error that the packet which dst sent to src is too large; it comes from src itself, since what
// a router on the way is called does not matter.
func tooBig(ttl uint8, src, dst netip.AddrPort, transport packet.Packet) packet.Packet {
	const mtu = 1280
	quoted := transport[0]
	switch l := quoted.(type) {
	case *packet.TCP:
		l.Src, l.Dst, l.Flags = l.Dst, l.Src, packet.ACK
	case *packet.UDP:
		l.Src, l.Dst = l.Dst, l.Src
	}
	icmp := &packet.ICMP{Type: 3, Code: 4, Rest: mtu}
	if src.Addr().Is6() {
		icmp = &packet.ICMP{V6: true, Type: 2, Rest: mtu}
	}
	return packet.Packet{network(ttl, src.Addr(), dst.Addr()), icmp, network(63, dst.Addr(), src.Addr()), quoted}
}
