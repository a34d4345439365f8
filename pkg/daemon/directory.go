package daemon

import (
	"net/netip"
	"sync"
	"time"

	"github.com/headgate/headgate/pkg/maps"
)

// directoryAge is how old the directory may be when a node is not found in it.
const directoryAge = 200 * time.Millisecond

// directory finds the ids that nodes have in the maps. Nodes keep theirs, so it is read again only for nodes that
// are not in it.
type directory struct {
	reader *maps.Reader
	now    func() time.Time

	mu     sync.Mutex
	ids    map[seat]uint32
	readAt time.Time
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
