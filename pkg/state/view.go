// Package state merges what is desired, what the checks found and where the nodes are into one
// immutable View with a generation. Who takes new flows is decided by pkg/schedule, for each
// config and address family; nothing here touches a map.
package state

import (
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/schedule"
)

// View is the whole at one generation. It is shared: nobody changes it.
type View struct {
	// Generation goes up with everything that changes a View, except for CheckedAt.
	Generation uint64
	// Revision is that of the desired state.
	Revision uint64
	Services []*Service
	// Announced are the VIPs that the host answers for on networks that it is on, and by which MACs.
	Announced []Announcement
	// Hops are all next hops known, also of addresses that no node has any more: flows of a
	// removed node still need the way to it.
	Hops   netdev.Hops
	Hopped uint64 // counts the changes of Hops
}

// Announcement is a VIP that is announced by an interface. It comes from outside: who follows the interfaces knows.
type Announcement struct {
	Addr    netip.Addr
	IfIndex int
	MAC     [6]byte // of the interface
}

// Service is one port and protocol of one VIP. A config of a balancer with both families makes two.
type Service struct {
	// Built is another number whenever anything of the service may be another than before.
	Built uint64

	Config      lb.ConfigKey
	VIP         netip.Addr
	Port        uint16
	Protocol    lb.Protocol
	Algorithm   lb.Algorithm
	OnNoBackend lb.OnNoBackend
	OnDown      lb.OnDown
	TCPIdle     time.Duration
	UDPIdle     time.Duration
	Sticky      bool          // clients stick to nodes by entries
	StickTTL    time.Duration // of an entry
	StickSlides bool          // a new flow makes its entry as good as new
	Passive     bool          // connections that nodes fail speak against them
	Watched     bool          // and nothing else does: nobody checks them
	Throttle    int           // flows a second that a client may open, of all services of the balancer and protocol; 0: any number
	// How long the flows of a node may go on that is taken away from here.
	RemoveDeadline time.Duration

	Tier  schedule.Tier // whose turn it is
	Nodes []Node        // of the VIP's family, in the order of the config
}

// Node is one backend of a service: what people set, what was found, and what follows.
type Node struct {
	Key      lb.NodeKey
	Label    string
	Weight   int
	Mode     lb.Mode
	MaxConns int // 0: any number

	ModeSince time.Time // when the mode was set
	Deadline  time.Time // when its flows end, because of its mode; zero: they need not

	Override  lb.Override
	Health    lb.Health // found by checks; Unknown in mode reject, and with check none unless it is ejected
	Effective lb.Health // health after override
	Shown     lb.Health // what status shows: Effective, but DOWN in mode reject
	Reason    string    // why Shown is what it is; empty when there is nothing to say
	CheckedAt time.Time // of the last check's result; zero: none

	Ejection *health.Ejection // it fails clients' connections, and nobody checks it; nil: not so
	Spared   bool             // it is not ejected for that: half of its kind are out already

	Hop *netdev.NextHop // never nil

	Takes   bool   // takes new flows
	Sticks  bool   // takes new flows of clients that stick to it
	Percent int    // of its weight that counts for them; 0 when it takes none
	Why     string // in words, why it does or does not
}
