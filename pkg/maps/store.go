package maps

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/headgate/headgate/loader"
)

// store implements Tables over memory and what is outside of it; Kernel and Fake are made of it.
type store struct {
	memory
	outside
}

func (s *store) Limits() Limits {
	return Limits{
		Nodes:    uint32(len(s.nodes)),
		Services: uint32(len(s.services)),
		Slots:    uint32(len(s.slots)),
		SNATs:    uint16(len(s.snats)),
		Links:    uint16(len(s.links)),
		VIPs:     s.vipsMax(),
	}
}

func (s *store) ReadNode(id uint32) (Node, error) {
	n, err := at("nodes", s.nodes, id)
	if err != nil {
		return Node{}, err
	}
	tcp, udp := split64(atomic.LoadUint64(word64(&n.TcpIdle)))
	first, count := split32(atomic.LoadUint32(word32(&n.SnatFirst)))
	weight, _ := split32(atomic.LoadUint32(word32(&n.Weight)))
	status, deadline := decodeStatus(atomic.LoadUint64(word64(&n.Status))), Moment(0)
	if status.Actions&HasDeadline != 0 {
		deadline = s.jiffiesMoment(atomic.LoadUint32(&n.Deadline))
	}
	return Node{
		Status:   status,
		Hop:      decodeHop(atomic.LoadUint64(&n.Hop)),
		Address:  netip.AddrPortFrom(decodeAddr(n.Addr, n.Family), swap16(n.Port)),
		Protocol: decodeProtocol(n.Proto),
		Service:  n.Service,
		Idle:     Idle{TCP: s.duration(tcp), UDP: s.duration(udp)},
		SNATs:    SNATRange{First: first, Count: count},
		Load:     Load{MaxConns: atomic.LoadUint32(&n.MaxConns), Weight: weight},
		Deadline: deadline,
	}, nil
}

func (s *store) WriteNode(id uint32, n Node) error {
	rec, err := at("nodes", s.nodes, id)
	if err != nil {
		return err
	}
	// Nobody's until it is complete, so that a crash in between leaves no half a node; but of its
	// generation, or entries that stick to an earlier owner might be taken for its own.
	nobody := encodeStatus(Status{Generation: n.Status.Generation})
	atomic.StoreUint64(word64(&rec.Status), *word64(&nobody))
	rec.Addr = encodeAddr(n.Address.Addr())
	rec.Port = swap16(n.Address.Port())
	rec.Family = familyOf(n.Address.Addr())
	rec.Proto = protocols[n.Protocol]
	rec.Service = n.Service
	atomic.StoreUint64(&rec.Hop, encodeHop(n.Hop))
	if err := s.WriteIdle(id, n.Idle); err != nil {
		return err
	}
	if err := s.WriteSNATs(id, n.SNATs); err != nil {
		return err
	}
	if err := s.WriteLoad(id, n.Load); err != nil {
		return err
	}
	if err := s.WriteDeadline(id, n.Deadline); err != nil {
		return err
	}
	return s.WriteStatus(id, n.Status)
}

func (s *store) WriteStatus(id uint32, st Status) error {
	n, err := at("nodes", s.nodes, id)
	if err != nil {
		return err
	}
	status := encodeStatus(st)
	atomic.StoreUint64(word64(&n.Status), *word64(&status))
	return nil
}

func (s *store) WriteHop(id uint32, h Hop) error {
	n, err := at("nodes", s.nodes, id)
	if err != nil {
		return err
	}
	atomic.StoreUint64(&n.Hop, encodeHop(h))
	return nil
}

func (s *store) WriteIdle(id uint32, i Idle) error {
	n, err := at("nodes", s.nodes, id)
	if err != nil {
		return err
	}
	atomic.StoreUint64(word64(&n.TcpIdle), join64(s.jiffies(i.TCP), s.jiffies(i.UDP)))
	return nil
}

func (s *store) WriteSNATs(id uint32, r SNATRange) error {
	n, err := at("nodes", s.nodes, id)
	if err != nil {
		return err
	}
	atomic.StoreUint32(word32(&n.SnatFirst), join32(r.First, r.Count))
	return nil
}

func (s *store) WriteDeadline(id uint32, m Moment) error {
	n, err := at("nodes", s.nodes, id)
	if err != nil {
		return err
	}
	atomic.StoreUint32(&n.Deadline, s.momentJiffies(m))
	return nil
}

func (s *store) WriteLoad(id uint32, l Load) error {
	n, err := at("nodes", s.nodes, id)
	if err != nil {
		return err
	}
	atomic.StoreUint32(&n.MaxConns, l.MaxConns)
	atomic.StoreUint32(word32(&n.Weight), join32(l.Weight, 0))
	return nil
}

func (s *store) StartNode(id uint32, nextPort uint64) error {
	live, err := at("nodes_live", s.nodesLive, id)
	if err != nil {
		return err
	}
	if err := s.clearTraffic(id); err != nil {
		return err
	}
	atomic.StoreUint64(&live.NextPort, nextPort)
	trouble, err := at("nodes_trouble", s.nodesTrouble, id)
	if err != nil {
		return err
	}
	atomic.StoreUint32(&trouble.Failed, 0)
	atomic.StoreUint64(&trouble.Lost, 0)
	return nil
}

func (s *store) Active(id uint32) (uint64, error) {
	live, err := at("nodes_live", s.nodesLive, id)
	if err != nil {
		return 0, err
	}
	return atomic.LoadUint64(&live.Active), nil
}

func (s *store) ReadNodeInfo(id uint32) (NodeInfo, error) {
	i, err := at("nodes_info", s.nodesInfo, id)
	if err != nil {
		return NodeInfo{}, err
	}
	return NodeInfo{
		Label:       uncut(i.Label),
		Weight:      int(i.Weight),
		CheckedAt:   decodeTime(atomic.LoadInt64(&i.CheckedAt)),
		ModeSince:   Moment(i.ModeSince),
		RemoveAfter: time.Duration(i.RemoveAfter) * time.Millisecond,
	}, nil
}

func (s *store) WriteNodeInfo(id uint32, info NodeInfo) error {
	i, err := at("nodes_info", s.nodesInfo, id)
	if err != nil {
		return err
	}
	if label := cut(info.Label); i.Label != label {
		i.Label = label
	}
	i.Weight = uint32(info.Weight)
	i.ModeSince = int64(info.ModeSince)
	i.RemoveAfter = uint32(info.RemoveAfter / time.Millisecond)
	atomic.StoreInt64(&i.CheckedAt, encodeTime(info.CheckedAt))
	return nil
}

func (s *store) ReadService(id uint32) (ServiceWord, error) {
	svc, err := at("services", s.services, id)
	if err != nil {
		return ServiceWord{}, err
	}
	return decodeServiceWord(atomic.LoadUint64(&svc.Word)), nil
}

func (s *store) WriteService(id uint32, w ServiceWord) error {
	svc, err := at("services", s.services, id)
	if err != nil {
		return err
	}
	if w.Length > serviceLengthMask || uint64(w.Offset)+uint64(w.Words()) > uint64(len(s.slots)) {
		return fmt.Errorf("services[%d]: slots %d+%d are beyond the end of the map (%d entries)",
			id, w.Offset, w.Words(), len(s.slots))
	}
	atomic.StoreUint64(&svc.Word, encodeServiceWord(w))
	return nil
}

func (s *store) ReadStickPolicy(id uint32) (StickPolicy, error) {
	svc, err := at("services", s.services, id)
	if err != nil {
		return StickPolicy{}, err
	}
	word := atomic.LoadUint64(word64(&svc.Stick))
	p := *(*loader.StickPolicy)(unsafe.Pointer(&word))
	return StickPolicy{TTL: s.duration(p.Ttl), Slides: p.Slides != 0, Tier: p.Tier}, nil
}

func (s *store) WriteStickPolicy(id uint32, p StickPolicy) error {
	svc, err := at("services", s.services, id)
	if err != nil {
		return err
	}
	policy := encodeStickPolicy(p, s.jiffies(p.TTL))
	atomic.StoreUint64(word64(&svc.Stick), *word64(&policy))
	return nil
}

func (s *store) ReadThrottlePolicy(id uint32) (ThrottlePolicy, error) {
	svc, err := at("services", s.services, id)
	if err != nil {
		return ThrottlePolicy{}, err
	}
	group, rate := split64(atomic.LoadUint64(word64(&svc.Throttle)))
	return ThrottlePolicy{Group: group, Rate: int(rate)}, nil
}

func (s *store) WriteThrottlePolicy(id uint32, p ThrottlePolicy) error {
	svc, err := at("services", s.services, id)
	if err != nil {
		return err
	}
	atomic.StoreUint64(word64(&svc.Throttle), join64(p.Group, uint32(p.Rate)))
	return nil
}

func (s *store) ReadServiceInfo(id uint32) (ServiceInfo, error) {
	i, err := at("services_info", s.servicesInfo, id)
	if err != nil {
		return ServiceInfo{}, err
	}
	return ServiceInfo{VIP: decodeVIP(i.Vip), Balancer: uncut(i.Balancer)}, nil
}

func (s *store) WriteServiceInfo(id uint32, info ServiceInfo) error {
	i, err := at("services_info", s.servicesInfo, id)
	if err != nil {
		return err
	}
	*i = loader.ServiceInfo{Vip: encodeVIP(info.VIP), Balancer: cut(info.Balancer)}
	return nil
}

func (s *store) StartService(id uint32) error {
	if _, err := at("services_stats", s.services, id); err != nil {
		return err
	}
	return s.clearServiceStats(id)
}

func (s *store) slotRange(first, count uint32) ([]uint64, error) {
	if uint64(first)+uint64(count) > uint64(len(s.slots)) {
		return nil, fmt.Errorf("slots[%d+%d]: beyond the end of the map (%d entries)", first, count, len(s.slots))
	}
	return s.slots[first : first+count], nil
}

func (s *store) ReadSlots(first, count uint32) ([]uint64, error) {
	slots, err := s.slotRange(first, count)
	if err != nil {
		return nil, err
	}
	words := make([]uint64, len(slots))
	for i := range slots {
		words[i] = atomic.LoadUint64(&slots[i])
	}
	return words, nil
}

func (s *store) WriteSlots(first uint32, words []uint64) error {
	slots, err := s.slotRange(first, uint32(len(words)))
	if err != nil {
		return err
	}
	for i, w := range words {
		if atomic.LoadUint64(&slots[i]) != w { // leaves the lines alone that programs have in their caches
			atomic.StoreUint64(&slots[i], w)
		}
	}
	return nil
}

func (s *store) VIPs() (map[VIP]uint32, error) {
	all, err := s.vips()
	maps.DeleteFunc(all, func(v VIP, _ uint32) bool { return v.isAddress() })
	return all, err
}

func (s *store) Addresses() (addrs []netip.Addr, err error) {
	all, err := s.vips()
	for v := range all {
		if v.isAddress() {
			addrs = append(addrs, v.Addr)
		}
	}
	return addrs, err
}

// PutVIP also notes in the service where it is found: by that the program proves its guesses. Whoever is
// found elsewhere from now on says so no longer.
func (s *store) PutVIP(v VIP, service uint32) error {
	svc, err := at("services", s.services, service)
	if err != nil {
		return err
	}
	if err := s.lose(v); err != nil {
		return err
	}
	if err := s.putVIP(v, service); err != nil {
		return err
	}
	storeVIP(&svc.Vip, encodeVIP(v))
	return nil
}

func (s *store) DeleteVIP(v VIP) error {
	if err := s.lose(v); err != nil {
		return err
	}
	return s.deleteVIP(v)
}

// ReadFoundAt gives the VIP by which PutVIP has a service found; the zero VIP: by none.
func (s *store) ReadFoundAt(service uint32) (VIP, error) {
	svc, err := at("services", s.services, service)
	if err != nil {
		return VIP{}, err
	}
	return decodeVIP(svc.Vip), nil
}

// lose has the service that is found at a VIP no longer say so.
func (s *store) lose(v VIP) error {
	service, found, err := s.vip(v)
	if err != nil || !found || service >= uint32(len(s.services)) {
		return err
	}
	storeVIP(&s.services[service].Vip, loader.VIPKey{})
	return nil
}

// storeVIP replaces a key that the program compares with at any time: while it is neither the old nor the
// new one it has no family, and equals nothing.
func storeVIP(to *loader.VIPKey, k loader.VIPKey) {
	atomic.StoreUint32(word32(&to.Port), 0)
	atomic.StoreUint64(word64(&to.Addr[0]), binary.NativeEndian.Uint64(k.Addr[:8]))
	atomic.StoreUint64(word64(&to.Addr[8]), binary.NativeEndian.Uint64(k.Addr[8:]))
	atomic.StoreUint32(word32(&to.Port), uint32(k.Port)|uint32(k.Proto)<<16|uint32(k.Family)<<24)
}

func (s *store) PutAddress(a netip.Addr) error    { return s.putVIP(VIP{Addr: a}, noService) }
func (s *store) DeleteAddress(a netip.Addr) error { return s.deleteVIP(VIP{Addr: a}) }

func (s *store) ReadSNAT(index uint16) (netip.Addr, error) {
	e, err := at("snats", s.snats, uint32(index))
	if err != nil {
		return netip.Addr{}, err
	}
	return decodeSNAT(e.Addr), nil
}

func (s *store) WriteSNAT(index uint16, a netip.Addr) error {
	e, err := at("snats", s.snats, uint32(index))
	if err != nil {
		return err
	}
	e.Addr = encodeAddr(a)
	return nil
}

func (s *store) ReadOurs(word int) (uint64, error) {
	w, err := at("ours", s.ours, uint32(word))
	if err != nil {
		return 0, err
	}
	return atomic.LoadUint64(w), nil
}

func (s *store) WriteOurs(word int, bits uint64) error {
	w, err := at("ours", s.ours, uint32(word))
	if err != nil {
		return err
	}
	atomic.StoreUint64(w, bits)
	return nil
}
