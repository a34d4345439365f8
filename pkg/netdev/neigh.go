package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// neighKey names an entry of the kernel's neighbour tables.
type neighKey struct {
	ifindex int
	addr    netip.Addr
}

func (k neighKey) family() uint8 {
	if k.addr.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// neighbour is what the kernel says about one entry.
type neighbour struct {
	mac      [6]byte
	hasMAC   bool
	state    uint16 // NUD_*
	learned  bool   // NTF_EXT_LEARNED: the kernel's garbage collection leaves it alone
	protocol uint8  // who made it so
}

// protocolOurs is the mark (NDA_PROTOCOL) on the entries that we exempted from garbage collection, so that they
// are told from those of routing daemons. The number is one that iproute2's rt_protos gives to nobody.
const protocolOurs = 'H'

// nudValid is NUD_VALID of include/net/neighbour.h.
const nudValid = netlink.NUD_PERMANENT | netlink.NUD_NOARP | netlink.NUD_REACHABLE |
	netlink.NUD_PROBE | netlink.NUD_STALE | netlink.NUD_DELAY

// usable says that a frame can be sent to it. STALE and its followers count: the address was right the
// last time, and the kernel too sends to it while it asks again.
func (n neighbour) usable() bool { return n.state&nudValid != 0 && n.hasMAC }

// ours says that the entry carries our exemption from garbage collection.
func (n neighbour) ours() bool { return n.learned && n.protocol == protocolOurs }

// foreign says that a routing daemon keeps the entry. It is used, not touched.
func (n neighbour) foreign() bool { return n.learned && n.protocol != protocolOurs }

// settled says that it can be validated: it is not permanent, and not being asked already, as in DELAY and PROBE.
func (n neighbour) settled() bool {
	return !n.foreign() && n.state&(netlink.NUD_REACHABLE|netlink.NUD_STALE) != 0
}

// parseNeigh reads the body of an RTM_NEWNEIGH or RTM_DELNEIGH (struct ndmsg and its attributes). It
// takes only what is an entry of the IPv4 or IPv6 table: no bridge's forwarding entries, no proxies.
func parseNeigh(b []byte) (neighKey, neighbour, bool) {
	const header = unix.SizeofNdMsg
	if len(b) < header {
		return neighKey{}, neighbour{}, false
	}
	family, flags := b[0], b[10]
	if family != unix.AF_INET && family != unix.AF_INET6 || flags&netlink.NTF_PROXY != 0 {
		return neighKey{}, neighbour{}, false
	}
	key := neighKey{ifindex: int(binary.NativeEndian.Uint32(b[4:]))}
	n := neighbour{state: binary.NativeEndian.Uint16(b[8:]), learned: flags&netlink.NTF_EXT_LEARNED != 0}
	for kind, value := range attributes(b[header:]) {
		switch kind {
		case netlink.NDA_DST:
			key.addr, _ = fromIP(value)
		case netlink.NDA_LLADDR:
			if len(value) == len(n.mac) {
				n.mac, n.hasMAC = [6]byte(value), true
			}
		case netlink.NDA_PROTOCOL:
			if len(value) > 0 {
				n.protocol = value[0]
			}
		}
	}
	return key, n, key.addr.IsValid()
}

// neighSocket asks the kernel about neighbours. The library's own calls cannot carry the mark.
type neighSocket struct {
	sockets map[int]*nl.SocketHandle
}

func openNeighSocket() (*neighSocket, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	timeout := unix.NsecToTimeval(requestTimeout.Nanoseconds())
	if err := s.SetSendTimeout(&timeout); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.SetReceiveTimeout(&timeout); err != nil {
		s.Close()
		return nil, err
	}
	return &neighSocket{sockets: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}}, nil
}

func (s *neighSocket) close() { s.sockets[unix.NETLINK_ROUTE].Close() }

func (s *neighSocket) request(kind, flags int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = s.sockets
	return req
}

// list reads both tables.
func (s *neighSocket) list() (map[neighKey]neighbour, error) {
	msgs, err := dump("neighbours", func() ([][]byte, error) {
		req := s.request(unix.RTM_GETNEIGH, unix.NLM_F_DUMP)
		req.AddData(&netlink.Ndmsg{Family: unix.AF_UNSPEC})
		return req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	})
	if err != nil {
		return nil, err
	}
	neighs := make(map[neighKey]neighbour, len(msgs))
	for _, m := range msgs {
		if key, n, ok := parseNeigh(m); ok {
			neighs[key] = n
		}
	}
	return neighs, nil
}

// get reads one entry; false when there is none.
func (s *neighSocket) get(key neighKey) (neighbour, bool, error) {
	req := s.request(unix.RTM_GETNEIGH, 0)
	req.AddData(&netlink.Ndmsg{Family: key.family(), Index: uint32(key.ifindex)})
	req.AddData(nl.NewRtAttr(netlink.NDA_DST, key.addr.AsSlice()))
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	if errors.Is(err, unix.ENOENT) {
		return neighbour{}, false, nil
	}
	if err != nil {
		return neighbour{}, false, err
	}
	for _, m := range msgs {
		if k, n, ok := parseNeigh(m); ok && k == key {
			return n, true, nil
		}
	}
	return neighbour{}, false, nil
}

// The kernel obeys a change of an entry whatever its state: the three below would turn one that an operator
// has just made permanent into an ordinary one, to be lost with the next silence. What was told by events
// may be old, so each looks at the entry first, and returns what it is now.

// resolve has the kernel resolve an entry that is missing or has failed, as if a packet waited for it
// (NTF_USE in neigh_add, net/core/neighbour.c): it sends the first request before this returns. The
// entry becomes exempt from garbage collection. Otherwise the tables' limits (gc_thresh3, by default
// 1,024 entries) would have the kernel forget nodes of a large config whose packets it never sees.
func (s *neighSocket) resolve(key neighKey) (neighbour, error) {
	const flags = netlink.NTF_USE | netlink.NTF_EXT_LEARNED
	begun := neighbour{state: netlink.NUD_INCOMPLETE, learned: true, protocol: protocolOurs}
	err := s.set(key, unix.NLM_F_CREATE|unix.NLM_F_EXCL, netlink.NUD_NONE, flags)
	if !errors.Is(err, unix.EEXIST) {
		return begun, named("resolve", key, err)
	}
	n, ok, err := s.get(key)
	if err != nil || ok && (n.usable() || n.foreign()) {
		return n, named("resolve", key, err)
	}
	return begun, named("resolve", key, s.set(key, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, netlink.NUD_NONE, flags))
}

// validate has the kernel ask a known neighbour at once whether it is still there (NUD_PROBE: three
// unicast requests, a second apart). The entry stays usable meanwhile; without an answer it becomes FAILED.
func (s *neighSocket) validate(key neighKey) (neighbour, error) {
	n, _, err := s.get(key)
	if err != nil || !n.settled() {
		return n, named("validate", key, err)
	}
	return n, named("validate", key, s.set(key, unix.NLM_F_REPLACE, netlink.NUD_PROBE, netlink.NTF_EXT_LEARNED))
}

// release gives an entry back to the kernel's garbage collection.
func (s *neighSocket) release(key neighKey) (neighbour, error) {
	n, _, err := s.get(key)
	if err != nil || !n.ours() {
		return n, named("release", key, err)
	}
	if err := s.set(key, unix.NLM_F_REPLACE, netlink.NUD_NONE, netlink.NTF_USE); err != nil {
		return n, named("release", key, err)
	}
	n.learned = false
	return n, nil
}

func named(what string, key neighKey, err error) error {
	if err != nil {
		return fmt.Errorf("%s neighbour %s on link %d: %w", what, key.addr, key.ifindex, err)
	}
	return nil
}

func (s *neighSocket) set(key neighKey, mode int, state uint16, flags uint8) error {
	req := s.request(unix.RTM_NEWNEIGH, mode|unix.NLM_F_ACK)
	req.AddData(&netlink.Ndmsg{Family: key.family(), Index: uint32(key.ifindex), State: state, Flags: flags})
	req.AddData(nl.NewRtAttr(netlink.NDA_DST, key.addr.AsSlice()))
	if flags&netlink.NTF_EXT_LEARNED != 0 {
		req.AddData(nl.NewRtAttr(netlink.NDA_PROTOCOL, []byte{protocolOurs}))
	}
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// ReleaseNeighbours gives the neighbour entries of the calling thread's network namespace that a Resolver
// exempted from garbage collection back to the kernel. A Resolver leaves them when it ends, so that
// the next one finds its nodes resolved; this is for the day when there will be no next one.
func ReleaseNeighbours() error {
	s, err := openNeighSocket()
	if err != nil {
		return fmt.Errorf("release neighbours: open netlink: %w", err)
	}
	defer s.close()
	neighs, err := s.list()
	if err != nil {
		return fmt.Errorf("release neighbours: %w", err)
	}
	for key, n := range neighs {
		if !n.ours() {
			continue
		}
		_, e := s.release(key)
		err = errors.Join(err, e)
	}
	return err
}
