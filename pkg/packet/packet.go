// Package packet builds, reads and prints frames: Ethernet, VLAN, IPv4 with options, IPv6 with
// extension headers, TCP, UDP, ICMP with what it quotes, ARP and neighbour discovery. It is made for tests and for showing
// packets to people, not for speed.
//
// A Packet is a list of layers. Encode makes the bytes of it, working out lengths, checksums and
// the types of what follows wherever a layer does not give them. Decode is the reverse and never
// fails: what it cannot make sense of is Data. The text form has one line a layer, and leaves out
// what Encode works out, so that a line `sum 0x1234` always means a checksum that is wrong or
// cannot be told from the bytes that there are. Bytes, layers and text can be turned into each
// other without loss.
package packet

import (
	"net/netip"
)

// Packet is a frame as a list of layers, the outermost first. It usually starts with Ethernet.
type Packet []Layer

// Layer is one of *Ethernet, *VLAN, *IPv4, *IPv6, *Extension, *Fragment, *TCP, *UDP, *ICMP, *ARP,
// *Neighbour, *Data, *Padding, *Cut and *Patch.
type Layer interface {
	// name is the first word of the layer's line.
	name() string
	// text is the rest of the line.
	text() string
	// parse reads what text wrote.
	parse(f *fields)
	// encode returns the layer's header, and what follows it, given what follows it.
	encode(at place, payload []byte) ([]byte, error)
	// autos are the fields that encode works out unless they are given.
	autos() []*Auto
}

// place is where in a packet a layer is encoded.
type place struct {
	next Layer // what follows; nil at the end
	ip   Layer // the *IPv4 or *IPv6 around it; nil without one
}

// Auto is a header field that encoding works out from the rest of the packet, unless it is given.
type Auto struct {
	Given bool
	Value uint16
}

// Give returns a field that encodes as v whatever the rest of the packet says.
func Give(v uint16) Auto { return Auto{Given: true, Value: v} }

func (a Auto) or(natural uint16) uint16 {
	if a.Given {
		return a.Value
	}
	return natural
}

// MAC is an Ethernet address.
type MAC [6]byte

// Ethernet is a frame's first header. Type is worked out where an IP or VLAN layer follows.
type Ethernet struct {
	Src, Dst MAC
	Type     Auto
}

// VLAN is an 802.1Q tag. Type is that of what follows; the tag's own type belongs to the layer
// before, which takes it to be 0x8100 unless it gives its Type.
type VLAN struct {
	ID       uint16 // 12 bits
	Priority uint8  // 3 bits
	DEI      bool
	Type     Auto
}

// IPv4 is an IPv4 header. Options are padded with zeros to a multiple of four bytes.
type IPv4 struct {
	Src, Dst         netip.Addr
	TTL, TOS         uint8
	ID               uint16
	Evil, DF, MF     bool   // the three flags, the reserved one first
	Offset           uint16 // of the fragment, in units of 8 bytes
	Options          []byte
	Protocol, Length Auto // Length is the total length
	Sum              Auto
}

// IPv6 is an IPv6 header. Length is the payload's.
type IPv6 struct {
	Src, Dst     netip.Addr
	HopLimit     uint8
	Class        uint8
	Flow         uint32 // 20 bits
	Next, Length Auto
}

// Extension is an IPv6 extension header that is not a fragment's. Data is all after its first two
// bytes; Length is the header's own length byte, worked out from Data, which is best a multiple of
// eight bytes long, less two.
type Extension struct {
	Kind         uint8 // HopByHop, Routing, DestinationOptions or Authentication
	Data         []byte
	Next, Length Auto
}

// Fragment is an IPv6 fragment header.
type Fragment struct {
	ID       uint32
	Offset   uint16 // in units of 8 bytes
	More     bool
	Reserved uint16 // the reserved byte, and below it the two reserved bits
	Next     Auto
}

// TCP is a TCP header. Options are padded with zeros to a multiple of four bytes.
type TCP struct {
	Src, Dst uint16
	Flags    Flags
	Seq, Ack uint32
	Window   uint16
	Urgent   uint16
	Reserved uint8 // the four bits between header length and flags
	Options  []byte
	Sum      Auto
}

// UDP is a UDP header.
type UDP struct {
	Src, Dst    uint16
	Length, Sum Auto
}

// ICMP is the header of an ICMP message, for IPv6 if V6. Rest is the four bytes after the checksum.
// A packet that the message quotes follows as layers.
type ICMP struct {
	V6         bool
	Type, Code uint8
	Rest       uint32
	Sum        Auto
}

// Data is bytes without more meaning: a payload, or a header that is cut short.
type Data struct{ Bytes []byte }

// Padding is what follows the IP packet in the frame.
type Padding struct{ Bytes []byte }

// Cut shortens the encoded frame to so many bytes. It comes after all other layers.
type Cut struct{ Length int }

// Patch overwrites bytes of the encoded frame. It comes after all other layers.
type Patch struct {
	Offset int
	Bytes  []byte
}

// Flags are the flags of a TCP header.
type Flags uint8

// Flags of TCP, as they lie in the header.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Ethernet types and IP protocols.
const (
	TypeIPv4 = 0x0800
	TypeARP  = 0x0806
	TypeVLAN = 0x8100
	TypeIPv6 = 0x86dd

	TypeServiceVLAN = 0x88a8 // the outer tag of two (802.1ad)

	HopByHop           = 0
	ProtoICMP          = 1
	ProtoTCP           = 6
	ProtoUDP           = 17
	Routing            = 43
	ProtoFragment      = 44
	Authentication     = 51
	ProtoICMPv6        = 58
	NoNext             = 59
	DestinationOptions = 60
)

// Find returns the first layer of p that is a T, or the zero T when there is none.
func Find[T Layer](p Packet) T {
	for _, layer := range p {
		if found, ok := layer.(T); ok {
			return found
		}
	}
	var none T
	return none
}
