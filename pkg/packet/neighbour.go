package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ARP is an ARP message about IPv4 addresses on Ethernet.
type ARP struct {
	Operation            uint16 // ARPRequest or ARPReply
	SenderMAC, TargetMAC MAC
	Sender, Target       netip.Addr
}

// Operations of ARP.
const (
	ARPRequest = 1
	ARPReply   = 2
)

// Neighbour is what follows the header of an ICMPv6 neighbour solicitation or advertisement. A zero MAC stands for
// an option that is not there.
type Neighbour struct {
	Target               netip.Addr
	SourceMAC, TargetMAC MAC    // the options of that name
	Options              []byte // all others
}

// ICMPv6 types of neighbour discovery, and the flags of an advertisement in ICMP.Rest.
const (
	NeighbourSolicitation  = 135
	NeighbourAdvertisement = 136

	NeighbourSolicited = 1 << 30
	NeighbourOverride  = 1 << 29
)

// Options of neighbour discovery.
const (
	sourceMAC = 1
	targetMAC = 2
)

func (*ARP) name() string       { return "arp" }
func (*Neighbour) name() string { return "neighbour" }

func (*ARP) autos() []*Auto       { return nil }
func (*Neighbour) autos() []*Auto { return nil }

func (a *ARP) text() string {
	operation := fmt.Sprintf("operation %d", a.Operation)
	switch a.Operation {
	case ARPRequest:
		operation = "request"
	case ARPReply:
		operation = "reply"
	}
	return fmt.Sprintf("%s %s %s > %s %s", operation, a.Sender, a.SenderMAC, a.Target, a.TargetMAC)
}

func (a *ARP) parse(f *fields) {
	switch word := f.word(); word {
	case "request":
		a.Operation = ARPRequest
	case "reply":
		a.Operation = ARPReply
	case "operation":
		a.Operation = f.uint16()
	default:
		f.fail("want request, reply or operation, not %s", word)
	}
	a.Sender, a.SenderMAC = f.addr(), f.mac()
	f.want(">")
	a.Target, a.TargetMAC = f.addr(), f.mac()
}

// arpHead says that it is about IPv4 on Ethernet.
var arpHead = []byte{0, 1, 8, 0, 6, 4}

func (a *ARP) encode(_ place, payload []byte) ([]byte, error) {
	if !a.Sender.Is4() || !a.Target.Is4() {
		return nil, fmt.Errorf("%s > %s: want two IPv4 addresses", a.Sender, a.Target)
	}
	b := binary.BigEndian.AppendUint16(bytes.Clone(arpHead), a.Operation)
	b = append(append(b, a.SenderMAC[:]...), a.Sender.AsSlice()...)
	b = append(append(b, a.TargetMAC[:]...), a.Target.AsSlice()...)
	return append(b, payload...), nil
}

// decodeARP reads an ARP message; what follows it is padding.
func decodeARP(b []byte) Packet {
	if len(b) < 28 || !bytes.HasPrefix(b, arpHead) {
		return nil
	}
	a := &ARP{
		Operation: binary.BigEndian.Uint16(b[6:]),
		SenderMAC: MAC(b[8:]), Sender: netip.AddrFrom4([4]byte(b[14:])),
		TargetMAC: MAC(b[18:]), Target: netip.AddrFrom4([4]byte(b[24:])),
	}
	return appendPadding(Packet{a}, b[28:])
}

func (n *Neighbour) text() string {
	var w words
	w.add("%s", n.Target)
	if n.SourceMAC != (MAC{}) {
		w.add("source-mac %s", n.SourceMAC)
	}
	if n.TargetMAC != (MAC{}) {
		w.add("target-mac %s", n.TargetMAC)
	}
	w.hex("options", n.Options)
	return w.String()
}

func (n *Neighbour) parse(f *fields) {
	n.Target = f.addr()
	f.each(func(name string) bool {
		switch name {
		case "source-mac":
			n.SourceMAC = f.mac()
		case "target-mac":
			n.TargetMAC = f.mac()
		case "options":
			n.Options = f.bytes()
		default:
			return false
		}
		return true
	})
}

func (n *Neighbour) encode(_ place, payload []byte) ([]byte, error) {
	if !n.Target.Is6() {
		return nil, fmt.Errorf("%s: want an IPv6 address", n.Target)
	}
	b := n.Target.AsSlice()
	for _, o := range []struct {
		kind byte
		mac  MAC
	}{{sourceMAC, n.SourceMAC}, {targetMAC, n.TargetMAC}} {
		if o.mac != (MAC{}) {
			b = append(append(b, o.kind, 1), o.mac[:]...)
		}
	}
	return append(append(b, n.Options...), payload...), nil
}

// decodeNeighbour reads what follows the header of a solicitation or an advertisement.
func decodeNeighbour(b []byte) Packet {
	if len(b) < 16 {
		return data(b)
	}
	n := &Neighbour{Target: netip.AddrFrom16([16]byte(b)), Options: b[16:]}
	take := func(kind byte, mac *MAC) {
		if o := n.Options; len(o) >= 8 && o[0] == kind && o[1] == 1 {
			*mac, n.Options = MAC(o[2:]), o[8:]
		}
	}
	take(sourceMAC, &n.SourceMAC)
	take(targetMAC, &n.TargetMAC)
	return Packet{n}
}

// SolicitedNode is the multicast group that solicitations for an IPv6 address go to.
func SolicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// AllNodes is the multicast group of every IPv6 host on a link.
var AllNodes = netip.AddrFrom16([16]byte{0xff, 2, 15: 1})

// MulticastMAC is where frames to an IPv6 multicast group go.
func MulticastMAC(group netip.Addr) MAC {
	b := group.As16()
	return MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}
