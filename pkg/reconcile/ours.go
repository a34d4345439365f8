package reconcile

import (
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/packet"
)

// ours is the bitmap of our addresses. Bits are set before anything is found by them. They are
// cleared only when no flow needs them either: a bit too many costs time, a missing one traffic.
type ours struct {
	words      [maps.OursWords]cell[uint64]
	stale      bool      // some bits are set that nobody asks for
	staleSince time.Time // for as long as this
}

// needOurs sets the bit of an address.
func (r *Reconciler) needOurs(a netip.Addr) error {
	i, bit := maps.OursBit(a)
	w := &r.ours.words[i]
	// A word that is not known holds at least what it held, so the bit is added to that.
	return w.set(r, w.value|1<<bit, func(v uint64) error { return r.t.WriteOurs(i, v) })
}

// wantedOurs returns the bits that VIPs, what is announced and source addresses need, without those of flows.
func (r *Reconciler) wantedOurs(wanted map[maps.VIP]bool) *maps.Ours {
	bits := &maps.Ours{}
	for vip := range wanted {
		bits.Set(vip.Addr)
	}
	for _, s := range r.services {
		if s.vip.Addr.IsValid() && !s.published.is(false) {
			bits.Set(s.vip.Addr)
		}
	}
	for a := range r.addresses {
		bits.Set(a)
	}
	for at := range r.announced {
		if at.Addr.Is6() {
			bits.Set(packet.SolicitedNode(at.Addr))
		}
	}
	for i := range r.snats.entries {
		if a := r.snats.entries[i].addr; a.IsValid() {
			bits.Set(a)
		}
	}
	return bits
}

// noteStale finds out whether bits are set that nobody asks for, and since when.
func (r *Reconciler) noteStale(wanted *maps.Ours) {
	stale := false
	for i := range r.ours.words {
		if w := &r.ours.words[i]; !w.known || w.value&^wanted[i] != 0 {
			stale = true
		}
	}
	if stale && !r.ours.stale {
		r.ours.staleSince = r.now()
		r.scan.soon()
	}
	r.ours.stale = stale
}

// clearOurs clears the bits that neither anybody nor a flow needs.
func (r *Reconciler) clearOurs(wanted, inUse *maps.Ours) error {
	for i := range r.ours.words {
		w := &r.ours.words[i]
		if err := w.set(r, w.value&(wanted[i]|inUse[i])|wanted[i], func(v uint64) error { return r.t.WriteOurs(i, v) }); err != nil {
			return err
		}
	}
	return nil
}
