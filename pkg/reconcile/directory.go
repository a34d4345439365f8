package reconcile

import (
	"net/netip"
	"sync"

	"github.com/headgate/headgate/pkg/maps"
)

// Directory says which ids the nodes have that are present. Whoever counts something of a node may ask it at any
// time; only its Reconciler writes it.
type Directory struct {
	mu  sync.RWMutex
	ids map[seat]uint32
}

// seat is where a node serves.
type seat struct {
	vip     maps.VIP
	address netip.AddrPort
}

// Find gives the id of a node of the service with that VIP; false when the maps do not have it, or have only its
// last flows.
func (d *Directory) Find(vip maps.VIP, address netip.AddrPort) (id uint32, ok bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id, ok = d.ids[seat{vip, address}]
	return id, ok
}

func (d *Directory) enter(vip maps.VIP, n *node) {
	if n.listed {
		return
	}
	n.listed = true
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil {
		d.ids = map[seat]uint32{}
	}
	d.ids[seat{vip, n.address}] = n.id
}

func (d *Directory) leave(vip maps.VIP, n *node) {
	n.listed = false
	d.mu.Lock()
	defer d.mu.Unlock()
	if at := (seat{vip, n.address}); d.ids[at] == n.id {
		delete(d.ids, at)
	}
}
