package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/packet"
)

// watched lets writes through to a Fake and asks after each of them whether a packet that came at
// this moment would find everything that it needs, and before each whether the place is at rest.
type watched struct {
	*maps.Fake
	clock  *clock
	writes int
	faults []string

	slotWrites int

	tables    map[uint32]*tableSeen // by service, as they were seen last
	slotsUsed map[extent]time.Time  // when a word last covered the slots
	nodesUsed map[uint32]time.Time  // when a table last named the node
	snatsUsed map[uint32]time.Time  // when a node in a table last named the entry
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

func newWatched(c *clock, sizes maps.FakeSizes) *watched {
	sizes.Now = c.Now
	return &watched{Fake: maps.NewFake(sizes), clock: c, tables: map[uint32]*tableSeen{}, slotsUsed: map[extent]time.Time{}, nodesUsed: map[uint32]time.Time{}, snatsUsed: map[uint32]time.Time{}}
}

func (w *watched) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf("write %d: ", w.writes)+fmt.Sprintf(format, args...))
}

// after is called after every single write.
func (w *watched) after(err error) error {
	w.writes++
	services, _ := w.Reader().Services()
	addrs, _ := w.Addresses()
	for _, a := range addrs {
		if !w.isOurs(a) {
			w.fault("%s is published, but not ours", a)
		}
	}
	announced, _ := w.Announced()
	for a, mac := range announced {
		if a.Addr.Is6() && !w.isOurs(packet.SolicitedNode(a.Addr)) || mac == [6]byte{} {
			w.fault("%s is announced by %x, but who asks for it is not let in", a, mac)
		}
	}
	for _, s := range services {
		if s.Published && !slices.Contains(addrs, s.VIP.Addr) {
			w.fault("%s is published, but not its address", s.VIP)
		}
		w.checkTable(s)
		w.checkPolicies(s)
	}
	w.checkGroups(services)
	vips, _ := w.VIPs()
	for vip, id := range vips {
		if info, _ := w.ReadServiceInfo(id); info.VIP != vip {
			w.fault("%s leads to service %d, which is %s", vip, id, info.VIP)
		}
	}
	w.checkFlows()
	w.checkHops()
	return err
}

// tableSeen is a service's table at a moment: all nodes that it names, each once. Large ones are read
// again only after they were written.
type tableSeen struct {
	word    maps.ServiceWord
	writes  int // of slots, until then
	extent  extent
	takes   []uint32 // in the table itself
	members []uint32 // in the list that follows it
}

func (w *watched) see(s maps.ServiceState) (*tableSeen, error) {
	if seen := w.tables[s.ID]; seen != nil && seen.word == s.Word && seen.writes == w.slotWrites {
		return seen, nil
	}
	table, members, err := maps.ReadTable(w, s.Word)
	if err != nil {
		return nil, err
	}
	seen := &tableSeen{word: s.Word, writes: w.slotWrites, extent: extent{s.Word.Offset, uint32(len(table) + len(members))}}
	for _, id := range namedIn(s.Word, table) {
		if !slices.Contains(seen.takes, id) {
			seen.takes = append(seen.takes, id)
		}
	}
	if len(members) > 0 {
		seen.members = slices.DeleteFunc(maps.UnpackNodes(members[1:]), func(id uint32) bool { return id == 0 })
	}
	w.tables[s.ID] = seen
	return seen, nil
}

func (w *watched) checkTable(s maps.ServiceState) {
	seen, err := w.see(s)
	if err != nil {
		w.fault("service %d: %v", s.ID, err)
		return
	}
	w.slotsUsed[seen.extent] = w.clock.now
	for _, id := range seen.members {
		w.nodesUsed[id] = w.clock.now
		if n, err := w.ReadNode(id); err != nil || n.Service != s.ID {
			w.fault("service %d: member %d is another's: %+v, %v", s.ID, id, n, err)
		}
	}
	for _, id := range seen.takes {
		w.nodesUsed[id] = w.clock.now
		n, err := w.ReadNode(id)
		switch {
		case err != nil:
			w.fault("service %d: %v", s.ID, err)
		case n.Status.Lifecycle != maps.Present || n.Status.Actions&^maps.Sticks != maps.TakesNew:
			w.fault("service %d: node %d takes no new flows: %+v", s.ID, id, n.Status)
		case n.Service != s.ID || n.Protocol != s.VIP.Protocol || n.Address.Addr().Is4() != s.VIP.Addr.Is4():
			w.fault("service %d (%s): node %d is another's: %+v", s.ID, s.VIP, id, n)
		case n.SNATs.Count == 0 || n.Idle.TCP == 0 && n.Idle.UDP == 0:
			w.fault("service %d: node %d is incomplete: %+v", s.ID, id, n)
		}
		for k := range n.SNATs.Count {
			w.snatsUsed[uint32(n.SNATs.First+k)] = w.clock.now
			a, _ := w.ReadSNAT(n.SNATs.First + k)
			if !a.IsValid() || !w.isOurs(a) || a.Is4() != n.Address.Addr().Is4() {
				w.fault("service %d: node %d sends from %s", s.ID, id, a)
			}
		}
	}
}

// checkPolicies asks whether what the word says that counts is there to be read.
func (w *watched) checkPolicies(s maps.ServiceState) {
	stick, _ := w.ReadStickPolicy(s.ID)
	if s.Word.Stick && (stick.TTL == 0 || stick.Tier < 2) {
		w.fault("service %d: clients stick by %+v", s.ID, stick)
	}
	throttle, _ := w.ReadThrottlePolicy(s.ID)
	if s.Word.Throttle && (throttle.Rate == 0 || throttle.Group == 0) {
		w.fault("service %d: clients are throttled by %+v", s.ID, throttle)
	}
}

// checkGroups asks whether the services of a balancer and protocol share what a client may open, and no others.
func (w *watched) checkGroups(services []maps.ServiceState) {
	balancers := map[uint32]string{}
	for _, s := range services {
		if !s.Word.Throttle || !s.Published {
			continue
		}
		policy, _ := w.ReadThrottlePolicy(s.ID)
		name := s.Balancer + " " + string(s.VIP.Protocol)
		if other, known := balancers[policy.Group]; known && other != name {
			w.fault("group %d is that of %s and of %s", policy.Group, other, name)
		}
		balancers[policy.Group] = name
	}
}

// checkHops asks whether every node that packets may go to leaves by a link.
func (w *watched) checkHops() {
	nodes, _ := w.Reader().Nodes()
	for _, n := range nodes {
		if l, _ := w.ReadLink(n.Hop.Link); n.Hop.Resolved() && l.IfIndex == 0 {
			w.fault("node %d (%s) leaves by link %d, which is free", n.ID, n.Address, n.Hop.Link)
		}
	}
}

// checkFlows asks whether all flows still have what they need.
func (w *watched) checkFlows() {
	for f := range w.Reader().Flows(maps.FlowFilter{}) {
		n, _ := w.ReadNode(f.NodeID)
		if n.Status.Lifecycle == maps.Free || n.Address != f.Node {
			w.fault("a flow to %s is left with node %d: %+v", f.Node, f.NodeID, n)
		}
		if !w.isOurs(f.VIP.Addr()) || !w.isOurs(f.Source.Addr()) {
			w.fault("packets of a flow from %s by %s are not ours", f.VIP, f.Source)
		}
	}
}

func (w *watched) isOurs(a netip.Addr) bool {
	i, bit := maps.OursBit(a)
	word, _ := w.ReadOurs(i)
	return word>>bit&1 != 0
}

func (w *watched) rests(used map[uint32]time.Time, i uint32) bool {
	at, ok := used[i]
	return !ok || w.clock.now.Sub(at) >= grace
}

// The writes.

func (w *watched) WriteNode(id uint32, n maps.Node) error {
	if !w.rests(w.nodesUsed, id) {
		w.fault("node %d is written while packets read it", id)
	}
	return w.after(w.Fake.WriteNode(id, n))
}

// mayReplace says whether words may be written over what packets read now: those of a table by hash, as far as the
// write came, each as good as the one that it replaces.
func (w *watched) mayReplace(used, at extent, words []uint64) bool {
	services, _ := w.Reader().Services()
	for _, s := range services {
		if s.Word.Offset != used.first || s.Word.Algorithm != maps.Hash || used.first != at.first || at.end() > used.end() {
			continue
		}
		for _, id := range namedIn(s.Word, words[:min(len(words), int(s.Word.Words()))]) {
			if n, err := w.ReadNode(id); err != nil || n.Status.Actions&^maps.Sticks != maps.TakesNew || n.Service != s.ID {
				w.fault("service %d: node %d comes into the table as %+v, %v", s.ID, id, n.Status, err)
			}
		}
		return true
	}
	return false
}

func (w *watched) WriteSlots(first uint32, words []uint64) error {
	at := extent{first, uint32(len(words))}
	for used, when := range w.slotsUsed {
		if used.first < at.end() && at.first < used.end() && w.clock.now.Sub(when) < grace && !w.mayReplace(used, at, words) {
			w.fault("slots %v are written while packets read %v", at, used)
		}
	}
	w.slotWrites++
	return w.after(w.Fake.WriteSlots(first, words))
}

func (w *watched) StartNode(id uint32, port uint64) error {
	if !w.rests(w.nodesUsed, id) {
		w.fault("node %d is started while packets use it", id)
	}
	return w.after(w.Fake.StartNode(id, port))
}

func (w *watched) StartService(id uint32) error {
	if word, _ := w.ReadService(id); word != (maps.ServiceWord{}) {
		w.fault("service %d is started while packets use it", id)
	}
	return w.after(w.Fake.StartService(id))
}

func (w *watched) WriteStatus(id uint32, s maps.Status) error {
	return w.after(w.Fake.WriteStatus(id, s))
}
func (w *watched) WriteHop(id uint32, h maps.Hop) error   { return w.after(w.Fake.WriteHop(id, h)) }
func (w *watched) WriteIdle(id uint32, i maps.Idle) error { return w.after(w.Fake.WriteIdle(id, i)) }
func (w *watched) WriteDeadline(id uint32, at maps.Moment) error {
	return w.after(w.Fake.WriteDeadline(id, at))
}
func (w *watched) WriteSNATs(id uint32, r maps.SNATRange) error {
	return w.after(w.Fake.WriteSNATs(id, r))
}
func (w *watched) WriteLoad(id uint32, l maps.Load) error { return w.after(w.Fake.WriteLoad(id, l)) }
func (w *watched) WriteNodeInfo(id uint32, i maps.NodeInfo) error {
	return w.after(w.Fake.WriteNodeInfo(id, i))
}
func (w *watched) WriteService(id uint32, s maps.ServiceWord) error {
	return w.after(w.Fake.WriteService(id, s))
}
func (w *watched) WriteStickPolicy(id uint32, p maps.StickPolicy) error {
	return w.after(w.Fake.WriteStickPolicy(id, p))
}
func (w *watched) WriteThrottlePolicy(id uint32, p maps.ThrottlePolicy) error {
	return w.after(w.Fake.WriteThrottlePolicy(id, p))
}
func (w *watched) WriteServiceInfo(id uint32, i maps.ServiceInfo) error {
	return w.after(w.Fake.WriteServiceInfo(id, i))
}
func (w *watched) PutVIP(v maps.VIP, id uint32) error { return w.after(w.Fake.PutVIP(v, id)) }
func (w *watched) DeleteVIP(v maps.VIP) error         { return w.after(w.Fake.DeleteVIP(v)) }
func (w *watched) PutAddress(a netip.Addr) error      { return w.after(w.Fake.PutAddress(a)) }
func (w *watched) DeleteAddress(a netip.Addr) error   { return w.after(w.Fake.DeleteAddress(a)) }
func (w *watched) PutAnnounced(a maps.Announced, mac [6]byte) error {
	return w.after(w.Fake.PutAnnounced(a, mac))
}
func (w *watched) DeleteAnnounced(a maps.Announced) error {
	return w.after(w.Fake.DeleteAnnounced(a))
}
func (w *watched) WriteLink(i uint16, l maps.Link) error  { return w.after(w.Fake.WriteLink(i, l)) }
func (w *watched) WriteSNAT(i uint16, a netip.Addr) error { return w.after(w.Fake.WriteSNAT(i, a)) }
func (w *watched) WriteOurs(word int, bits uint64) error {
	return w.after(w.Fake.WriteOurs(word, bits))
}
