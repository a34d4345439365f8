// Package lb is the vocabulary of Headgate: balancers, their configs and nodes, and the words for
// what people set (mode, override) and what checks find (health). It has no behaviour beyond
// defaults, validation and names, and imports nothing of the project.
package lb

import (
	"net/netip"
	"time"
)

// Balancer is a set of virtual IPs with a label of its own. At least one of IPv4 and IPv6 is valid.
type Balancer struct {
	ID    int // given by the store, never again to another; 0: not yet
	Label string
	Tags  []string // for people to sort by; they mean nothing to traffic
	IPv4  netip.Addr
	IPv6  netip.Addr
	// New TCP connections and new UDP sessions a second that a client may open, of all configs of that
	// protocol together; 0: any number. A client is an IPv4 address or an IPv6 network of 64 bits.
	ConnThrottle    int
	SessionThrottle int
	// Announce has the host say on its networks that the VIPs are here, and answer who asks for their MAC.
	Announce bool
	Configs  []Config
}

// Throttle is how many new flows of a protocol a client may open a second; 0: any number.
func (b *Balancer) Throttle(p Protocol) int {
	if p == UDP {
		return b.SessionThrottle
	}
	return b.ConnThrottle
}

// VIPs returns the virtual IPs that b has, IPv4 first.
func (b *Balancer) VIPs() []netip.Addr {
	vips := make([]netip.Addr, 0, 2)
	for _, vip := range []netip.Addr{b.IPv4, b.IPv6} {
		if vip.IsValid() {
			vips = append(vips, vip)
		}
	}
	return vips
}

// Config is one port and protocol of a balancer, with all that applies to traffic arriving there.
type Config struct {
	ID           int // as a balancer's
	Port         uint16
	Protocol     Protocol
	Algorithm    Algorithm
	Stickiness   Stickiness
	StickTTL     time.Duration // of a stick entry, from when it was made
	StickRefresh bool          // from its client's last new flow instead
	OnNoBackend  OnNoBackend
	OnDown       OnDown
	TCPIdle      time.Duration // established TCP flow without a packet
	UDPIdle      time.Duration // UDP session without a datagram

	// How long the flows of a node may go on once it is in mode drain, in mode reject, or removed;
	// NoDeadline for ever. A node that is removed has one always.
	DrainDeadline  time.Duration
	RejectDeadline time.Duration
	RemoveDeadline time.Duration

	MinEligible   MinEligible   // below it the backups take the new flows
	FailbackDelay time.Duration // for so long the primaries must have been enough before they take them back
	SlowStart     time.Duration // for so long a node's share grows after it has recovered

	Check Check
	Nodes []Node
}

// NoDeadline is a deadline that never falls.
const NoDeadline time.Duration = -1

// Node is one backend of a config. Within a config the address identifies it: a node with another
// address is another node, one with another label, weight, mode or override is the same.
type Node struct {
	ID       int // as a balancer's
	Label    string
	Address  netip.AddrPort
	Weight   int // 1 to 255
	Mode     Mode
	Override Override
	MaxConns int // active flows from which on it takes no new ones; 0: any number
}

// Protocol is the transport protocol of a config.
type Protocol string

// Protocols.
const (
	TCP Protocol = "tcp"
	UDP Protocol = "udp"
)

// Algorithm chooses the node of a new flow.
type Algorithm string

// Algorithms: in turns; the fewest flows for its weight, of two drawn by weight; or the same node for a client's
// address every time, which is called source for TCP and ring_hash for UDP.
const (
	RoundRobin Algorithm = "roundrobin"
	LeastConn  Algorithm = "leastconn"
	Source     Algorithm = "source"
	RingHash   Algorithm = "ring_hash"
)

// Stickiness says what brings a client back to its node.
type Stickiness string

// What brings a client back: nothing but its flows; stick entries for its address, TCP by the one word and
// UDP by the other; or its UDP session, which NAT keeps together in any case.
const (
	StickNone     Stickiness = "none"
	StickTable    Stickiness = "table"
	StickSession  Stickiness = "session"
	StickSourceIP Stickiness = "source_ip"
)

// ByEntries says whether there are stick entries, which outlive a client's flows.
func (s Stickiness) ByEntries() bool { return s == StickTable || s == StickSourceIP }

// OnNoBackend says what happens to a new flow when nothing is eligible.
type OnNoBackend string

// What to do when nothing is eligible: refuse (TCP RST, UDP ICMP port unreachable), drop silently,
// or send to the accept nodes although they are DOWN.
const (
	NoBackendReset OnNoBackend = "reset"
	NoBackendDrop  OnNoBackend = "drop"
	NoBackendOpen  OnNoBackend = "open"
)

// OnDown says what happens to the TCP flows of a node that goes DOWN.
type OnDown string

// What to do with TCP flows of a node that is DOWN.
const (
	DownKeep  OnDown = "keep"
	DownReset OnDown = "reset"
)

// Mode is what people set on a node.
type Mode string

// Modes; what each does to traffic is the table in ARCHITECTURE.md.
const (
	Accept Mode = "accept"
	Reject Mode = "reject"
	Drain  Mode = "drain"
	Backup Mode = "backup"
)

// Health is what checks find out about a node.
type Health string

// Health of a node.
const (
	Unknown Health = "Unknown"
	Up      Health = "UP"
	Down    Health = "DOWN"
)

// Override is what people set to win over health. The checks go on, and say what they find.
type Override string

// Overrides. None of them makes a node in mode reject, drain or backup take new flows that its mode forbids.
const (
	OverrideNone Override = "none"
	OverrideUp   Override = "up"
	OverrideDown Override = "down"
)

// ConfigKey names a config: BALANCER/PORT, or BALANCER/PORT/udp.
type ConfigKey struct {
	Balancer string
	Port     uint16
	Protocol Protocol
}

// NodeKey identifies a node. People name nodes by label; the address is what makes one the same.
type NodeKey struct {
	Config  ConfigKey
	Address netip.AddrPort
}
