package daemon

import (
	"net/netip"
	"sync"
	"time"

	"github.com/headgate/headgate/pkg/maps"
)

// How old the directory may be when a node is not found in it, and counts of stick entries, which take a walk
// through the whole table.
const (
	directoryAge = 200 * time.Millisecond
	sticksAge    = time.Second
)

// directory finds the ids that nodes have in the maps. Nodes keep theirs, so it is read again only for nodes that
// are not in it.
type directory struct {
	reader *maps.Reader
	now    func() time.Time

	mu      sync.Mutex
	ids     map[seat]uint32
	readAt  time.Time
	sticks  map[uint32]uint64 // stick entries by node id
	countAt time.Time
}

// seat is where a node serves.
type seat struct {
	vip     maps.VIP
	address netip.AddrPort
}

// find gives the id of a node that is present; false when the maps do not have it (yet).
func (d *directory) find(vip maps.VIP, address netip.AddrPort) (uint32, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.ids[seat{vip, address}]
	if ok && d.holds(id, vip, address) {
		return id, true
	}
	if d.now().Sub(d.readAt) < directoryAge {
		return 0, false
	}
	d.read()
	id, ok = d.ids[seat{vip, address}]
	return id, ok
}

// holds says that an id is still that node's.
func (d *directory) holds(id uint32, vip maps.VIP, address netip.AddrPort) bool {
	n, err := d.reader.ReadNode(id)
	if err != nil || n.Address != address || n.Status.Lifecycle != maps.Present {
		return false
	}
	info, err := d.reader.ReadServiceInfo(n.Service)
	return err == nil && info.VIP == vip
}

func (d *directory) read() {
	nodes, err := d.reader.Nodes()
	d.readAt = d.now()
	if err != nil {
		return // what there is may still be good
	}
	d.ids = make(map[seat]uint32, len(nodes))
	for _, n := range nodes {
		if n.Status.Lifecycle == maps.Present {
			d.ids[seat{n.VIP, n.Address}] = n.ID
		}
	}
}

// counts are the live flows of a node and, if its clients stick, the entries that name it.
func (d *directory) counts(vip maps.VIP, address netip.AddrPort, sticky bool) (flows, entries uint64) {
	id, ok := d.find(vip, address)
	if !ok {
		return 0, 0
	}
	flows, err := d.reader.Active(id)
	if err != nil {
		flows = 0
	}
	if sticky {
		entries = d.stickEntries(id)
	}
	return flows, entries
}

func (d *directory) stickEntries(id uint32) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.now(); now.Sub(d.countAt) >= sticksAge {
		if sticks, err := d.reader.CountSticks(); err == nil {
			d.sticks, d.countAt = sticks, now
		}
	}
	return d.sticks[id]
}
