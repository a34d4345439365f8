package reconcile

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// addresses says of each VIP whether packets find it as an address, whatever the port.
type addresses map[netip.Addr]*cell[bool]

// publishAddress lets packets find a VIP; they know already that it is ours.
func (r *Reconciler) publishAddress(a netip.Addr) error {
	c := r.addresses[a]
	if c == nil {
		c = &cell[bool]{}
		r.addresses[a] = c
	}
	return c.set(r, true, func(bool) error { return r.t.PutAddress(a) })
}

// removeAddresses takes back those of which no service is left, wanted or still published.
func (r *Reconciler) removeAddresses(v *state.View) error {
	if !r.leaving {
		return nil
	}
	keep := map[netip.Addr]bool{}
	for i := range v.Services {
		keep[v.Services[i].VIP] = true
	}
	for _, s := range r.services {
		if !s.published.is(false) {
			keep[s.vip.Addr] = true
		}
	}
	var errs []error
	for a, c := range r.addresses {
		if keep[a] {
			continue
		}
		if err := c.set(r, false, func(bool) error { return r.t.DeleteAddress(a) }); err != nil {
			errs = append(errs, fmt.Errorf("VIP %s, removed: %w", a, err))
			continue
		}
		delete(r.addresses, a)
	}
	r.leaving = len(errs) > 0
	return errors.Join(errs...)
}

func (r *Reconciler) restoreAddresses(b *books, _ maps.Limits) error {
	found, err := r.t.Addresses()
	if err != nil {
		return err
	}
	for _, a := range found {
		c := known(true)
		b.addresses[a] = &c
	}
	return nil
}
