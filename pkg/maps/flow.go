package maps

import (
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// FlowClass says why a flow may leave the table, and after how long.
type FlowClass uint8

// Classes, as enum flow_class, whose last, FLOW_RESERVED, no reader sees: such a slot has an odd version.
const (
	HalfOpen    FlowClass = iota + 1 // TCP, the client has not proved yet that it hears us
	Established                      // TCP
	Closing                          // TCP, after both FINs or an RST; no longer active
	UDPSession
)

// FlowClasses are all classes, in order.
var FlowClasses = []FlowClass{HalfOpen, Established, Closing, UDPSession}

// String gives half_open, established, closing or udp.
func (c FlowClass) String() string {
	return word(c, "free", "half_open", "established", "closing", "udp")
}

// Counted reports whether flows of the class count as active flows of their node.
func (c FlowClass) Counted() bool {
	return c == HalfOpen || c == Established || c == UDPSession
}

// Flow is one TCP connection or UDP session, its two halves joined. In is client to node; bytes
// are of layer 3.
type Flow struct {
	Protocol lb.Protocol
	Class    FlowClass
	Client   netip.AddrPort
	VIP      netip.AddrPort
	Source   netip.AddrPort // what the node sees as its client
	Node     netip.AddrPort
	NodeID   uint32

	Age  time.Duration // since it was made; shown as 0 beyond 2^31 jiffies (24 days at 1000 Hz)
	Idle time.Duration // since the last packet of either direction

	PacketsIn, PacketsOut uint32 // wrap
	BytesIn, BytesOut     uint64
}

// FlowFilter selects flows; zero fields select all. It must be left alone while Flows runs.
type FlowFilter struct {
	Family   int // 4 or 6
	Protocol lb.Protocol
	Class    FlowClass
	Client   netip.Addr
	VIP      netip.AddrPort
	Nodes    map[uint32]bool // ids; nil: all
}

// matches reports whether the filter selects a flow, as far as its forward half tells.
func (q *FlowFilter) matches(f *Flow) bool {
	switch {
	case q.Protocol != "" && f.Protocol != q.Protocol,
		q.Class != 0 && f.Class != q.Class,
		q.Client.IsValid() && f.Client.Addr() != q.Client,
		q.VIP.IsValid() && f.VIP != q.VIP,
		q.Nodes != nil && !q.Nodes[f.NodeID]:
		return false
	}
	return true
}
