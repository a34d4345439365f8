package reconcile

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// Restored is a node that the maps still knew.
type Restored struct {
	Key       lb.NodeKey
	VIP       maps.VIP
	ID        uint32
	Label     string
	Health    lb.Health
	CheckedAt time.Time // of the last check's result; zero: none
	Mode      lb.Mode
	ModeSince time.Time // when the mode was set; zero: not known
	Serving   bool      // it takes new flows
	Removed   bool      // it was taken away before; only its flows are left
}

// Restore finds out what the maps hold: which ids, slots, addresses and interfaces are in use. It
// writes nothing. What rested counts as rested: a process takes longer to start than a packet to
// pass. A node that comes again in a View keeps its id, and so its flows. Once it has
// succeeded, it answers from what it keeps. Apply calls it if nobody has.
func (r *Reconciler) Restore() ([]Restored, error) {
	if err := r.restoreOnce(); err != nil {
		return nil, err
	}
	return r.restoredNodes(), nil
}

func (r *Reconciler) restoreOnce() error {
	if r.restored {
		return nil
	}
	limits := r.t.Limits()
	b := books{
		services:   map[uint32]*service{},
		byVIP:      map[maps.VIP]*service{},
		serviceIDs: newIDs(0, limits.Services),
		nodeIDs:    newIDs(1, limits.Nodes),
		slots:      newExtents(limits.Slots),
		groups:     newGroups(limits.Services),
		snats:      snats{entries: make([]snatEntry, limits.SNATs)},
		links:      links{entries: make([]linkEntry, limits.Links), byIndex: map[int]uint16{}},
		addresses:  addresses{},
		announced:  announced{},
		departed:   map[*node]bool{},
	}
	for _, step := range []func(*books, maps.Limits) error{
		r.restoreServices, r.restoreNodes, r.restoreSNATs, r.restoreLinks, r.restoreOurs, r.restoreAddresses, r.restoreAnnounced,
	} {
		if err := step(&b, limits); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	r.books, r.restored, r.leaving = b, true, true
	for _, svc := range r.services {
		for _, n := range svc.nodes {
			if n.gone.IsZero() {
				r.directory.enter(svc.vip, n)
			}
		}
	}
	return nil
}

func (r *Reconciler) restoreServices(b *books, limits maps.Limits) error {
	vips, err := r.t.VIPs()
	if err != nil {
		return err
	}
	for id := range limits.Services {
		info, err := r.t.ReadServiceInfo(id)
		if err != nil {
			return err
		}
		word, err := r.t.ReadService(id)
		if err != nil {
			return err
		}
		if !info.VIP.Addr.IsValid() && word == (maps.ServiceWord{}) {
			continue
		}
		stick, err := r.t.ReadStickPolicy(id)
		if err != nil {
			return err
		}
		throttle, err := r.t.ReadThrottlePolicy(id)
		if err != nil {
			return err
		}
		found, err := r.t.ReadFoundAt(id)
		if err != nil {
			return err
		}
		published, ok := vips[info.VIP]
		svc := &service{
			id:        id,
			vip:       info.VIP,
			started:   true,
			info:      known(info),
			word:      known(word),
			stick:     known(stick),
			throttle:  known(throttle),
			tier:      stick.Tier,
			published: known(ok && published == id && found == info.VIP), // tables of an older layout do not say the last
			nodes:     map[netip.AddrPort]*node{},
		}
		b.services[id] = svc
		b.serviceIDs.mark(id)
		if old := b.byVIP[svc.vip]; info.VIP.Addr.IsValid() && (old == nil || svc.published.value) {
			b.byVIP[svc.vip] = svc
		}
		if word.Throttle {
			b.groups.restore(budget{info.Balancer, info.VIP.Protocol}, throttle.Group)
		}
		if err := r.restoreExtent(b, svc); err != nil {
			return err
		}
	}
	for vip, id := range vips {
		if svc := b.services[id]; svc == nil || svc.vip != vip {
			b.stray = append(b.stray, vip)
		}
	}
	return nil
}

// restoreExtent takes the slots that a service's word points to. Should another service have them,
// the word counts as unknown, so that this one soon gets a table of its own.
func (r *Reconciler) restoreExtent(b *books, svc *service) error {
	table, members, err := maps.ReadTable(r.t, svc.word.value)
	if err != nil {
		return err
	}
	e := extent{svc.word.value.Offset, uint32(len(table) + len(members))}
	switch {
	case e.count == 0:
	case b.slots.reserve(e):
		svc.extents = []extent{e}
	default:
		r.log.Warn("the table of a service is not its own", "service", svc.id, "vip", svc.vip, "slots", e.first, "count", e.count)
		svc.word.known = false
	}
	return nil
}

func (r *Reconciler) restoreNodes(b *books, limits maps.Limits) error {
	for id := uint32(1); id < limits.Nodes; id++ {
		rec, err := r.t.ReadNode(id)
		if err != nil {
			return err
		}
		active, err := r.t.Active(id)
		if err != nil {
			return err
		}
		if rec.Status.Lifecycle == maps.Free && active == 0 {
			continue
		}
		info, err := r.t.ReadNodeInfo(id)
		if err != nil {
			return err
		}
		n := &node{
			id:      id,
			address: rec.Address,
			written: true,
			status:  known(rec.Status),
			decided: rec.Status,
			hop:     known(rec.Hop),
			idle:    known(rec.Idle),
			snats:   known(rec.SNATs),
			load:    known(rec.Load),
			info:    known(info),
		}
		b.nodeIDs.mark(id)
		if rec.Deadline != 0 {
			n.deadline = known(rec.Deadline)
		}
		if rec.Status.Lifecycle != maps.Present {
			n.gone, n.ends = r.now(), rec.Deadline
			b.departed[n] = true
		}
		r.restoreOwner(b, n, rec.Service)
	}
	return nil
}

// restoreOwner gives a node to its service. One without, or with a double, belongs to nobody: it
// stays as it is until its flows have ended.
func (r *Reconciler) restoreOwner(b *books, n *node, service uint32) {
	svc := b.services[service]
	if svc != nil && n.status.value.Lifecycle != maps.Free {
		old := svc.nodes[n.address]
		if old == nil {
			svc.nodes[n.address] = n
			return
		}
		if old.status.value.Lifecycle == maps.Removed && n.status.value.Lifecycle == maps.Present {
			svc.nodes[n.address], n = n, old
		}
	}
	if n.gone.IsZero() {
		n.gone = r.now()
		b.departed[n] = true
	}
	b.orphans = append(b.orphans, n)
}

func (r *Reconciler) restoreSNATs(b *books, _ maps.Limits) error {
	for i := range b.snats.entries {
		a, err := r.t.ReadSNAT(uint16(i))
		if err != nil {
			return err
		}
		b.snats.entries[i] = snatEntry{addr: a, written: known(a)}
	}
	return nil
}

func (r *Reconciler) restoreLinks(b *books, _ maps.Limits) error {
	for i := range b.links.entries {
		l, err := r.t.ReadLink(uint16(i))
		if err != nil {
			return err
		}
		stale := l.Stale
		l.Stale = false
		b.links.entries[i] = linkEntry{link: cell[maps.Link]{value: l, known: !stale}, want: l}
		if l.IfIndex != 0 {
			b.links.byIndex[l.IfIndex] = uint16(i)
		}
	}
	return nil
}

func (r *Reconciler) restoreOurs(b *books, _ maps.Limits) error {
	for i := range b.ours.words {
		w, err := r.t.ReadOurs(i)
		if err != nil {
			return err
		}
		b.ours.words[i] = known(w)
	}
	return nil
}

// restoredNodes lists the nodes whose service is known.
func (r *Reconciler) restoredNodes() []Restored {
	var out []Restored
	for _, svc := range r.services {
		if !svc.vip.Addr.IsValid() {
			continue
		}
		config := lb.ConfigKey{Balancer: svc.info.value.Balancer, Port: svc.vip.Port, Protocol: svc.vip.Protocol}
		for _, n := range svc.nodes {
			out = append(out, Restored{
				Key:       lb.NodeKey{Config: config, Address: n.address},
				VIP:       svc.vip,
				ID:        n.id,
				Label:     n.info.value.Label,
				Health:    n.status.value.Health,
				CheckedAt: n.info.value.CheckedAt,
				Mode:      n.status.value.Mode,
				ModeSince: r.t.Time(n.info.value.ModeSince),
				Serving:   n.status.value.Actions&maps.TakesNew != 0,
				Removed:   !n.gone.IsZero(),
			})
		}
	}
	return out
}
