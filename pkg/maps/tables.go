// Package maps is typed access to the maps of the data path: what the reconciler writes and what
// people read. It alone knows how their bytes lie (bpf/abi.h is the authority); everybody else
// sees addresses, durations and words.
//
// There are three implementations of Tables: Kernel over the pinned maps, Fake in memory with the
// same layout, and Faulty, which wraps another and lets some operations fail. A Reader looks at
// the maps of a Kernel or a Fake, also while packets and a writer change them.
package maps

import (
	"net/netip"
	"time"
)

// Tables is what a reconciler writes, and what it finds out from after a restart. Every method is
// idempotent. An error of a write leaves open whether it took effect. There is one writer at a
// time; methods are not safe for concurrent use.
type Tables interface {
	// Limits says how many entries there are room for.
	Limits() Limits

	// Moment and Time turn times of this process into such as outlive it, and back.
	Moment(t time.Time) Moment
	Time(m Moment) time.Time

	// ReadNode returns the record of a node id; its lifecycle is Free when nobody has it.
	ReadNode(id uint32) (Node, error)
	// WriteNode replaces the whole record, status last. Only for an id that no table and no flow
	// names: a packet could see a mixture.
	WriteNode(id uint32, n Node) error
	// WriteStatus, WriteHop, WriteIdle, WriteSNATs and WriteDeadline replace one part of a record in one store,
	// and WriteLoad two that have nothing to do with each other, so they may be used while packets read it.
	WriteStatus(id uint32, s Status) error
	WriteHop(id uint32, h Hop) error
	WriteIdle(id uint32, i Idle) error
	WriteSNATs(id uint32, r SNATRange) error
	WriteLoad(id uint32, l Load) error
	WriteDeadline(id uint32, at Moment) error
	// StartNode readies the counters of an id for a new owner: traffic zero, the next source port
	// counted from nextPort.
	StartNode(id uint32, nextPort uint64) error
	// Active returns how many flows of a node are half-open, established or UDP.
	Active(id uint32) (uint64, error)
	// ReadNodeInfo and WriteNodeInfo hold what people need to know of a node.
	ReadNodeInfo(id uint32) (NodeInfo, error)
	WriteNodeInfo(id uint32, i NodeInfo) error

	// ReadService and WriteService hold the word that commits a table: one store.
	ReadService(id uint32) (ServiceWord, error)
	WriteService(id uint32, w ServiceWord) error
	// ReadStickPolicy and WriteStickPolicy hold how long clients stick, ReadThrottlePolicy and
	// WriteThrottlePolicy how fast they may open flows: one store each. The word says whether they count.
	ReadStickPolicy(id uint32) (StickPolicy, error)
	WriteStickPolicy(id uint32, p StickPolicy) error
	ReadThrottlePolicy(id uint32) (ThrottlePolicy, error)
	WriteThrottlePolicy(id uint32, p ThrottlePolicy) error
	// ReadServiceInfo and WriteServiceInfo hold which VIP a service id stands for.
	ReadServiceInfo(id uint32) (ServiceInfo, error)
	WriteServiceInfo(id uint32, i ServiceInfo) error
	// StartService readies the counters of an id for a new owner: nothing was refused.
	StartService(id uint32) error
	// ReadSlots and WriteSlots hold the tables, in words (PackNodes, PackColumns, PackMembers). Only
	// slots that no service word covers may be written, except those of a Hash table: each packet
	// reads one of its words, and each word is replaced by one store.
	ReadSlots(first, count uint32) ([]uint64, error)
	WriteSlots(first uint32, words []uint64) error
	// VIPs returns all published services; PutVIP publishes one, DeleteVIP takes it back (no
	// error when it was not there). ReadFoundAt returns what the program's guesses are proved by: the VIP
	// that a service is published for, the zero VIP if for none.
	VIPs() (map[VIP]uint32, error)
	ReadFoundAt(service uint32) (VIP, error)
	PutVIP(v VIP, service uint32) error
	DeleteVIP(v VIP) error
	// Addresses returns the VIPs that packets without ports find: what is sent to the address itself, such as an
	// echo request. PutAddress and DeleteAddress are to them what PutVIP and DeleteVIP are to services.
	Addresses() ([]netip.Addr, error)
	PutAddress(a netip.Addr) error
	DeleteAddress(a netip.Addr) error

	// Announced returns the VIPs that are answered for, and by which MAC; PutAnnounced adds one, or gives it another
	// MAC, DeleteAnnounced takes it back (no error when it was not there).
	Announced() (map[Announced][6]byte, error)
	PutAnnounced(a Announced, mac [6]byte) error
	DeleteAnnounced(a Announced) error

	// ReadLink and WriteLink hold an interface that packets may leave by; the zero Link is a free
	// entry. A Link that has lost its place in the redirect map reads as Stale.
	ReadLink(index uint16) (Link, error)
	WriteLink(index uint16, l Link) error
	// ReadTags returns the VLAN tags of clients that an entry of tags holds, and whether it is retired: no new
	// flow uses it. The program claims entries, from 1 on; RetireTags retires one or takes that back, FreeTags
	// frees it.
	ReadTags(index uint8) (t Tags, retired bool, err error)
	RetireTags(index uint8, retired bool) error
	FreeTags(index uint8) error
	// ReadSNAT and WriteSNAT hold an address that NAT sends from; the zero Addr is a free entry.
	ReadSNAT(index uint16) (netip.Addr, error)
	WriteSNAT(index uint16, a netip.Addr) error
	// ReadOurs and WriteOurs hold a word of the bitmap of our addresses; see OursBit.
	ReadOurs(word int) (uint64, error)
	WriteOurs(word int, bits uint64) error

	// InUse walks the flow table and says what its flows hold on to. It reads all of it: tens of
	// milliseconds for a million flows.
	InUse() (*Usage, error)
}

// Limits are the sizes of the maps, in entries.
type Limits struct {
	Nodes    uint32 // ids 1 to Nodes-1 can be given
	Services uint32
	Slots    uint32
	SNATs    uint16
	Links    uint16
	VIPs     uint32
}

// Usage is what the flows of the table hold on to, and what must therefore stay as it is.
type Usage struct {
	Nodes []uint64 // bit per node id
	Links [4]uint64
	Tags  [4]uint64
	Ours  Ours // bits of the flows' VIPs and source addresses
}

// Node reports whether a flow points to the node id.
func (u *Usage) Node(id uint32) bool {
	return int(id/64) < len(u.Nodes) && u.Nodes[id/64]>>(id%64)&1 != 0
}

// Link reports whether a flow's replies leave by the entry of links.
func (u *Usage) Link(index uint16) bool {
	return index < 256 && u.Links[index/64]>>(index%64)&1 != 0
}

// Tag reports whether a flow's replies leave with the entry of tags.
func (u *Usage) Tag(index uint8) bool {
	return u.Tags[index/64]>>(index%64)&1 != 0
}

// Idle is how long flows of a node may be without a packet.
type Idle struct {
	TCP time.Duration // established
	UDP time.Duration
}
