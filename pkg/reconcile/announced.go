package reconcile

import (
	"errors"
	"fmt"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/packet"
	"github.com/headgate/headgate/pkg/state"
)

// announced says by which MAC each VIP is answered for at each interface; the zero MAC: it is not.
type announced map[maps.Announced]*cell[[6]byte]

func announcedOf(a state.Announcement) maps.Announced {
	return maps.Announced{Addr: a.Addr, IfIndex: a.IfIndex}
}

// announce lets the program answer for what is announced. Solicitations come to an address of their own, which
// has to be ours before.
func (r *Reconciler) announce(v *state.View) error {
	var errs []error
	for _, a := range v.Announced {
		at := announcedOf(a)
		if a.Addr.Is6() {
			if err := r.needOurs(packet.SolicitedNode(a.Addr)); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		c := r.announced[at]
		if c == nil {
			c = &cell[[6]byte]{}
			r.announced[at] = c
		}
		if err := c.set(r, a.MAC, func(mac [6]byte) error { return r.t.PutAnnounced(at, mac) }); err != nil {
			errs = append(errs, fmt.Errorf("announce %s: %w", at, err))
		}
	}
	return errors.Join(errs...)
}

// silence ends the answers for what is no longer announced.
func (r *Reconciler) silence(v *state.View) error {
	keep := map[maps.Announced]bool{}
	for _, a := range v.Announced {
		keep[announcedOf(a)] = true
	}
	var errs []error
	for at, c := range r.announced {
		if keep[at] {
			continue
		}
		if err := c.set(r, [6]byte{}, func([6]byte) error { return r.t.DeleteAnnounced(at) }); err != nil {
			errs = append(errs, fmt.Errorf("announce %s no longer: %w", at, err))
			continue
		}
		delete(r.announced, at)
	}
	return errors.Join(errs...)
}

func (r *Reconciler) restoreAnnounced(b *books, _ maps.Limits) error {
	found, err := r.t.Announced()
	if err != nil {
		return err
	}
	for at, mac := range found {
		c := known(mac)
		b.announced[at] = &c
	}
	return nil
}

// Announced returns what the program answers for, as far as that is known.
func (r *Reconciler) Announced() []maps.Announced {
	var out []maps.Announced
	for at := range r.announced {
		out = append(out, at)
	}
	return out
}
