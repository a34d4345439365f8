package maps

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// VIP is a port of a virtual IP: what packets are looked up by. Without port and protocol it is the address
// itself, by which packets are looked up that have no ports.
type VIP struct {
	Addr     netip.Addr
	Port     uint16
	Protocol lb.Protocol
}

// configOf names the config of a balancer that answers at this port.
func (v VIP) configOf(balancer string) lb.ConfigKey {
	return lb.ConfigKey{Balancer: balancer, Port: v.Port, Protocol: v.Protocol}
}

// isAddress says whether this is the address alone.
func (v VIP) isAddress() bool { return v.Port == 0 && v.Protocol == "" }

// noService is what the address alone leads to (NO_SERVICE).
const noService = 1<<32 - 1

// String gives ADDRESS:PORT/PROTOCOL, or the address alone.
func (v VIP) String() string {
	if v.isAddress() {
		return v.Addr.String()
	}
	return fmt.Sprintf("%s/%s", netip.AddrPortFrom(v.Addr, v.Port), v.Protocol)
}

// Lifecycle says whether a node id belongs to a node. It is no mode and no health.
type Lifecycle uint8

// Lifecycles: nobody's, a configured node's, or that of one taken away whose flows still run.
const (
	Free Lifecycle = iota
	Present
	Removed
)

// String gives the word for people.
func (l Lifecycle) String() string {
	return word(l, "free", "present", "removed")
}

// Actions is what the packet path does with a node's mode, health, override and lifecycle.
type Actions uint8

// Actions, as bits.
const (
	TakesNew    Actions = 1 << iota // new flows may go there
	Dead                            // UDP flows are picked anew
	ResetTCP                        // TCP flows end with an RST
	Sticks                          // new flows of clients that stick to it may go there
	HasDeadline                     // from the node's deadline on all its flows end
	Reports                         // connections that it fails are counted and reported
)

// String lists the bits.
func (a Actions) String() string {
	s := ""
	for i, name := range []string{"new", "dead", "reset-tcp", "stick", "deadline", "report"} {
		if a>>i&1 == 0 {
			continue
		}
		if s != "" {
			s += ","
		}
		s += name
	}
	return s
}

// Status is a node's mode, health, override and lifecycle, and what follows from them.
type Status struct {
	Mode      lb.Mode
	Health    lb.Health
	Override  lb.Override
	Lifecycle Lifecycle
	Actions   Actions
	// Generation is of the id: stick entries of another one are dead.
	Generation uint16
}

// Hop is where a packet goes next. The zero Hop is unresolved.
type Hop struct {
	Link uint16 // index into links, below 256
	Tags uint8  // index into tags of a client's; 0: none, TagsOfLink: those of the link
	MAC  [6]byte
}

// Resolved reports whether the packet path can use the hop.
func (h Hop) Resolved() bool { return h != Hop{} }

// String gives LINK>MAC, or LINK/TAGS>MAC, or "unresolved".
func (h Hop) String() string {
	if !h.Resolved() {
		return "unresolved"
	}
	if h.Tags != 0 {
		return fmt.Sprintf("%d/%d>%s", h.Link, h.Tags, net.HardwareAddr(h.MAC[:]))
	}
	return fmt.Sprintf("%d>%s", h.Link, net.HardwareAddr(h.MAC[:]))
}

// SNATRange names entries of the snats map. Count 0: no flow can be made.
type SNATRange struct {
	First, Count uint16
}

// Node is the record of a node id.
type Node struct {
	Status   Status
	Hop      Hop
	Address  netip.AddrPort
	Protocol lb.Protocol
	Service  uint32
	Idle     Idle
	SNATs    SNATRange
	Load     Load
	Deadline Moment // exact to a jiffy; none unless Status has HasDeadline
}

// Load is what a node's active flows are measured by.
type Load struct {
	MaxConns uint32 // from so many on it takes no new ones; 0: no limit
	Weight   uint16 // they are divided by it when they are compared with those of others
}

// NodeInfo is what people need to know of a node when no daemon runs.
type NodeInfo struct {
	Label       string // cut at 32 bytes
	Weight      int
	CheckedAt   time.Time     // of the last check's result; zero: none. Nanoseconds, no zone
	ModeSince   Moment        // when the mode was set
	RemoveAfter time.Duration // that its flows may go on when it is removed; milliseconds
}

// StickPolicy says how long clients of a service stick to its nodes.
type StickPolicy struct {
	TTL    time.Duration // from when an entry was made, or last used if it slides
	Slides bool
	// Tier counts the changes between the backups and others: odd while the backups serve. An entry that
	// they made is good in one tier only. 0 is none.
	Tier uint16
}

// ThrottlePolicy says how fast a client may open flows.
type ThrottlePolicy struct {
	Group uint32 // services with the same one share what a client may open
	Rate  int    // a second
}

// ServiceInfo says which VIP a service id stands for.
type ServiceInfo struct {
	VIP      VIP
	Balancer string // label, cut at 32 bytes
}

// ConfigKey names the config that the service belongs to.
func (s ServiceInfo) ConfigKey() lb.ConfigKey { return s.VIP.configOf(s.Balancer) }

// Link is an interface that packets may leave by.
type Link struct {
	IfIndex int
	MAC     [6]byte
	MTU     int // largest IP packet that leaves by it, in bytes; 0: any
	// Tags are those of a VLAN interface: its frames leave by Parent, with the tags.
	Tags   Tags
	Parent int
	// Redirect says that frames which leave by the interface that they came in by are redirected
	// as all others are; on a veth, and so by a VLAN interface whose parent is one, XDP_TX does not do.
	Redirect bool
	// Stale is set by ReadLink when redirection to the interface does not work although the entry
	// is there: the interface went and came; or when an earlier release wrote it, which named no
	// parent in it. Writing the Link again repairs it.
	Stale bool
}

// word returns the name of a small enum's value.
func word[T ~uint8](v T, names ...string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("?%d", v)
}
