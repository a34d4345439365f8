package dptest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/packet"
)

// Actions of a node's status, see enum node_action.
const (
	ActionNew      = 1
	ActionDead     = 2
	ActionResetTCP = 4
	ActionStick    = 8
	ActionDeadline = 16
	ActionReport   = 32
)

// ModeBackup is the mode of a node that the program looks at, see enum node_mode.
const ModeBackup = 3

// Service is a port of a VIP, with its scheduling table.
type Service struct {
	ID        uint32
	Proto     uint8 // packet.ProtoTCP or packet.ProtoUDP
	VIP       netip.AddrPort
	Algorithm Algorithm
	Slots     []uint32 // node ids in order: of Sequence and Hash
	Columns   []Column // of LeastConn and Tickets
	Members   []uint32 // all nodes, if any of them has MaxConns; else empty
	Drop      bool     // nothing eligible: drop silently
	Sticking
	Throttle
}

// Node is a backend.
type Node struct {
	ID                   uint32
	Service              uint32 // that it belongs to
	Proto                uint8
	Address              netip.AddrPort
	Hop                  Hop
	Actions              uint8
	Backup               bool // by its mode
	Generation           uint16
	SNATFirst, SNATCount uint16
	NextPort             uint64
	TCPIdle, UDPIdle     time.Duration // 0: an hour, 16 seconds
	MaxConns             uint32        // 0: no limit
	Weight               uint16        // of LeastConn; 0: 1
	Free                 bool          // the id is nobody's
}

// Hop is a next hop: a link's index and a MAC, and the tags of a client's frames. The zero Hop is unresolved.
type Hop struct {
	Link uint16
	MAC  packet.MAC
	Tags Tags
}

// tagsOfLink in a hop says that frames have the tags of its link (TAGS_OF_LINK).
const tagsOfLink = 255

// hopWord is a node's hop as the tables have it.
func (b *Bed) hopWord(h Hop) uint64 {
	var raw [8]byte
	copy(raw[:], h.MAC[:])
	raw[6] = byte(h.Link)
	if b.tagged[h.Link] && h != (Hop{}) {
		raw[7] = tagsOfLink
	}
	return binary.LittleEndian.Uint64(raw[:])
}

// hopOf reads a hop; learned is the map of tags.
func hopOf(word uint64, learned []uint64) Hop {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], word)
	return Hop{Link: uint16(b[6]), MAC: packet.MAC(b[:6]), Tags: Tags(learned[b[7]])}
}

// Reset empties every table and gives the refusals their full rate.
func (b *Bed) Reset() {
	clearAll[loader.Bucket4](b, "flows4")
	clearAll[loader.Bucket6](b, "flows6")
	clearAll[loader.Node](b, "nodes")
	clearAll[loader.NodeLive](b, "nodes_live")
	clearAll[loader.NodeTrouble](b, "nodes_trouble")
	b.Signals()
	clearAll[loader.Service](b, "services")
	clearAll[loader.ServiceLive](b, "services_live")
	clearAll[uint64](b, "slots")
	clearAll[loader.SNAT](b, "snats")
	clearAll[loader.LinkEntry](b, "links")
	clearAll[uint64](b, "tags")
	clearHash[loader.StickKey, loader.StickEntry](b, "sticks")
	clearHash[loader.ThrottleKey, loader.ThrottleEntry](b, "throttles")
	clearHash[loader.AnnouncedKey, loader.Announcement](b, "announced")
	clearHash[loader.FragmentKey, loader.Fragment](b, "fragments")
	b.update("datagrams", uint32(0), uint64(0))
	b.families, b.tagged = map[uint32]uint8{}, map[uint16]bool{}
	for i, word := range b.ours {
		if word != 0 {
			b.update("ours", uint32(i), uint64(0))
		}
	}
	b.ours = [1024]uint64{}
	var key loader.VIPKey
	for b.coll.Maps["vips"].NextKey(nil, &key) == nil {
		must(b.coll.Maps["vips"].Delete(key))
	}
	for i := range b.coll.Maps["tx_ports"].MaxEntries() {
		b.coll.Maps["tx_ports"].Delete(i) // an error says that there was none
	}
	b.refill(10000)
}

// readAll reads an array map whole.
func readAll[T any](b *Bed, name string) []T {
	m := b.coll.Maps[name]
	values := make([]T, m.MaxEntries())
	var cursor ebpf.MapBatchCursor
	n, err := m.BatchLookup(&cursor, make([]uint32, len(values)), values, nil)
	if n != len(values) || err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		panic(fmt.Sprintf("read %s: %d of %d: %v", name, n, len(values), err))
	}
	return values
}

// writeAll replaces an array map's entries.
func writeAll[T any](b *Bed, name string, values []T) {
	keys := make([]uint32, len(values))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := b.coll.Maps[name].BatchUpdate(keys, values, nil); err != nil {
		panic(fmt.Sprintf("write %s: %v", name, err))
	}
}

func clearAll[T any](b *Bed, name string) {
	writeAll(b, name, make([]T, b.coll.Maps[name].MaxEntries()))
}

func (b *Bed) update(name string, key, value any) {
	if err := b.coll.Maps[name].Update(key, value, ebpf.UpdateAny); err != nil {
		panic(fmt.Sprintf("%s[%v]: %v", name, key, err))
	}
}

func (b *Bed) lookup(name string, key, value any) {
	if err := b.coll.Maps[name].Lookup(key, value); err != nil {
		panic(fmt.Sprintf("%s[%v]: %v", name, key, err))
	}
}

// SetLink makes an interface known under an index, which is ifindex plus a little (LINK_PROBES). An
// interface that does not exist gets no entry for redirection, as if it had gone away.
func (b *Bed) SetLink(index uint16, ifindex int, mac packet.MAC) {
	b.update("links", uint32(index), loader.LinkEntry{Ifindex: uint32(ifindex), Mac: mac, Mtu: 1 << 16})
	var err error
	b.space.do(func() { err = b.coll.Maps["tx_ports"].Update(uint32(index), uint32(ifindex), ebpf.UpdateAny) })
	if err != nil && !errors.Is(err, unix.EINVAL) {
		panic(fmt.Sprintf("tx_ports[%d] = %d: %v", index, ifindex, err))
	}
}

// SetMTU sets the largest IP packet that leaves by a link, in bytes; SetLink leaves room for any.
func (b *Bed) SetMTU(index uint16, mtu uint32) {
	var link loader.LinkEntry
	b.lookup("links", uint32(index), &link)
	link.Mtu = mtu
	b.update("links", uint32(index), link)
}

// SetSNAT sets an address that NAT sends from.
func (b *Bed) SetSNAT(index uint32, addr netip.Addr) {
	b.update("snats", index, loader.SNAT{Addr: addr16(addr)})
	b.setOurs(addr)
}

// SetService makes a service known, or replaces its table and policy.
func (b *Bed) SetService(s Service) {
	first := s.ID * b.options.Words
	for i, word := range s.words() {
		b.update("slots", first+uint32(i), word)
	}
	b.update("services", s.ID, loader.Service{
		Word:     uint64(first) | uint64(s.length())<<32 | uint64(s.flags())<<56,
		Vip:      vipKey(s),
		Stick:    loader.StickPolicy{Ttl: b.jiffiesOf(s.TTL), Tier: s.Tier, Slides: number(s.Slides)},
		Throttle: loader.ThrottlePolicy{Group: s.Group, Rate: s.Rate},
	})
	b.update("vips", vipKey(s), s.ID)
	b.update("vips", loader.VIPKey{Addr: addr16(s.VIP.Addr()), Family: familyOf(s.VIP.Addr())}, uint32(1<<32-1))
	b.setOurs(s.VIP.Addr())
	b.families[s.ID] = familyOf(s.VIP.Addr())
}

func number(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// SetServiceWord sets what a service points to, whatever it is.
func (b *Bed) SetServiceWord(id uint32, word uint64) {
	b.update("services", id, loader.Service{Word: word})
}

// RemoveService takes a service's port away; its flows and its VIP stay.
func (b *Bed) RemoveService(s Service) {
	var service loader.Service
	must(b.coll.Maps["services"].Lookup(s.ID, &service))
	service.Vip = loader.VIPKey{}
	b.update("services", s.ID, service)
	must(b.coll.Maps["vips"].Delete(vipKey(s)))
}

func vipKey(s Service) loader.VIPKey {
	return loader.VIPKey{Addr: addr16(s.VIP.Addr()), Port: be16(s.VIP.Port()), Proto: s.Proto, Family: familyOf(s.VIP.Addr())}
}

// SetNode makes a node known, or replaces its record; its live counts stay but for NextPort.
func (b *Bed) SetNode(n Node) {
	if n.TCPIdle == 0 {
		n.TCPIdle = time.Hour
	}
	if n.UDPIdle == 0 {
		n.UDPIdle = 16 * time.Second
	}
	if n.Weight == 0 {
		n.Weight = 1
	}
	status := loader.NodeStatus{Lifecycle: 1, Actions: n.Actions, Generation: n.Generation}
	if n.Backup {
		status.Mode = ModeBackup
	}
	if n.Free {
		status.Lifecycle = 0
	}
	b.update("nodes", n.ID, loader.Node{
		Hop: b.hopWord(n.Hop), Status: status, Service: n.Service,
		Addr: addr16(n.Address.Addr()), Port: be16(n.Address.Port()), Family: familyOf(n.Address.Addr()), Proto: n.Proto,
		Deadline: uint32(b.jiffies()), TcpIdle: b.jiffiesOf(n.TCPIdle), UdpIdle: b.jiffiesOf(n.UDPIdle), SnatFirst: n.SNATFirst, SnatCount: n.SNATCount,
		MaxConns: n.MaxConns, Weight: n.Weight,
	})
	live := b.Live(n.ID)
	live.NextPort = n.NextPort
	b.update("nodes_live", n.ID, live)
}

// SetActions replaces what the packet path does with a node.
func (b *Bed) SetActions(id uint32, actions uint8) {
	var record loader.Node
	b.lookup("nodes", id, &record)
	record.Status.Actions = actions
	b.update("nodes", id, record)
}

// SetGeneration replaces a node's generation.
func (b *Bed) SetGeneration(id uint32, generation uint16) {
	var record loader.Node
	b.lookup("nodes", id, &record)
	record.Status.Generation = generation
	b.update("nodes", id, record)
}

// SetStatus replaces a node's whole status.
func (b *Bed) SetStatus(id uint32, status loader.NodeStatus) {
	var record loader.Node
	b.lookup("nodes", id, &record)
	record.Status = status
	b.update("nodes", id, record)
}

// SetDeadline sets when a node's flows end, counted from now, and the action that makes it count.
func (b *Bed) SetDeadline(id uint32, in time.Duration) {
	var record loader.Node
	b.lookup("nodes", id, &record)
	record.Deadline = uint32(b.jiffies()) + uint32(int64(in)*int64(b.options.HZ)/int64(time.Second))
	record.Status.Actions |= ActionDeadline
	b.update("nodes", id, record)
}

// SetHop replaces a node's next hop.
func (b *Bed) SetHop(id uint32, hop Hop) {
	var record loader.Node
	b.lookup("nodes", id, &record)
	record.Hop = b.hopWord(hop)
	b.update("nodes", id, record)
}

// AgeSearch has the last search for a port of a node, if it was in vain, lie so far back that it keeps no other from being
// made, flows having ended since.
func (b *Bed) AgeSearch(id uint32) {
	live := b.Live(id)
	if live.FullAt != 0 {
		live.FullAt -= HZ / 16
	}
	b.update("nodes_live", id, live)
}

// Live returns a node's live counts.
func (b *Bed) Live(id uint32) (live loader.NodeLive) {
	b.lookup("nodes_live", id, &live)
	return live
}

// setOurs sets the bit that lets packets to an address in.
func (b *Bed) setOurs(addr netip.Addr) {
	word, bit := oursBit(addr)
	b.ours[word] |= bit
	b.update("ours", word, b.ours[word])
}

// Admits says whether packets to an address are let in: those to VIPs and SNAT addresses, and to the
// few that share a bit with one.
func (b *Bed) Admits(addr netip.Addr) bool {
	word, bit := oursBit(addr)
	return b.ours[word]&bit != 0
}

func oursBit(addr netip.Addr) (word uint32, bit uint64) {
	raw := addr16(addr)
	x := binary.LittleEndian.Uint64(raw[:]) // an IPv4 address is its low half, the rest is 0
	if addr.Is6() {
		x ^= binary.LittleEndian.Uint64(raw[8:])
	}
	n := x * 0x9e3779b97f4a7c15 >> 48
	return uint32(n >> 6), 1 << (n & 63)
}

// addr16 is an address as the tables hold it: an IPv4 address fills the first four bytes.
func addr16(addr netip.Addr) (raw [16]byte) {
	copy(raw[:], addr.AsSlice())
	return raw
}

func familyOf(addr netip.Addr) uint8 {
	if addr.Is4() {
		return 4
	}
	return 6
}

// be16 is a port as the tables hold it.
func be16(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

func (b *Bed) jiffiesOf(d time.Duration) uint32 {
	return uint32(d * time.Duration(b.options.HZ) / time.Second)
}
