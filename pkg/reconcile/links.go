package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/state"
)

// links is the table of interfaces that packets may leave by.
type links struct {
	entries []linkEntry
	byIndex map[int]uint16 // interface → entry
	changed uint64         // counts the changes of either: hops are words with an entry's number

	out    map[int][6]byte // interfaces that next hops leave by, with their MACs
	hops   netdev.Hops     // that out is of
	hopped uint64          // state.View.Hopped of that
	outAt  time.Time       // when out was made of all hops
	grown  bool            // it has what moved since, and maybe too much
}

type linkEntry struct {
	link cell[maps.Link]
	want maps.Link // what belongs there; zero: free
	gone time.Time // since when the interface is no longer wanted; zero: it is
}

// applyLinks makes the table hold the interfaces of all next hops and, as far as there is room,
// all others of the host.
func (r *Reconciler) applyLinks(v *state.View, host []netdev.Link) error {
	known := map[int]netdev.Link{}
	for _, l := range host {
		known[l.Index] = l
	}
	linkOf := func(ifindex int, mac [6]byte) maps.Link {
		l := known[ifindex]
		out, by := maps.Link{IfIndex: ifindex, MAC: mac, MTU: l.MTU, Tags: tagsOf(l)}, l
		if len(l.Tags) > 0 {
			out.Parent, by = l.Parent, known[l.Parent]
		}
		out.Redirect = by.Kind == "veth"
		return out
	}
	wanted := map[int]bool{}
	var errs []error
	for ifindex, mac := range r.hopLinks(v) {
		wanted[ifindex] = true
		if err := r.applyLink(linkOf(ifindex, mac)); err != nil {
			errs = append(errs, err)
		}
	}
	for _, l := range host {
		if wanted[l.Index] || l.Kind == "vlan" && l.Parent == 0 {
			continue
		}
		wanted[l.Index] = true
		err := r.applyLink(linkOf(l.Index, l.MAC))
		switch {
		case errors.As(err, new(*fullError)):
			r.warn("interface %s: packets cannot leave by it: %v", l.Name, err)
		case err != nil:
			errs = append(errs, err)
		}
	}
	for i := range r.links.entries {
		e := &r.links.entries[i]
		if e.want.IfIndex != 0 && !wanted[e.want.IfIndex] && e.gone.IsZero() {
			e.gone = r.now()
			r.scan.soon()
		}
	}
	return errors.Join(errs...)
}

func tagsOf(l netdev.Link) (t maps.Tags) {
	for i, tag := range l.Tags {
		t[i] = maps.Tag{Type: tag.Type, ID: tag.ID}
	}
	return t
}

// outPause is how long interfaces may stay in the table by which no next hop leaves any more: which these are is
// seen only by a look at all hops.
const outPause = time.Second

// hopLinks returns the interfaces that next hops leave by, with their MACs.
func (r *Reconciler) hopLinks(v *state.View) map[int][6]byte {
	l := &r.links
	now := r.now()
	all := l.out == nil || v.Hopped == 0 || now.Sub(l.outAt).Abs() >= outPause
	if v.Hopped == l.hopped && !(all && (l.grown || v.Hopped == 0)) {
		return l.out
	}
	add := func(h netdev.NextHop) {
		if h.Resolved {
			l.out[h.IfIndex] = h.SrcMAC
		}
	}
	if l.grown = !all; all {
		l.out, l.outAt = map[int][6]byte{}, now
		for _, h := range v.Hops.All() {
			add(h)
		}
		for _, s := range v.Services {
			for i := range s.Nodes {
				add(*s.Nodes[i].Hop)
			}
		}
	} else {
		for a := range v.Hops.Moved(l.hops) {
			h, _ := v.Hops.To(a)
			add(h)
		}
	}
	l.hops, l.hopped = v.Hops, v.Hopped
	return l.out
}

// applyLink gives an interface its entry, or brings the one that it has up to date.
func (r *Reconciler) applyLink(l maps.Link) error {
	index, ok := r.linkEntry(l.IfIndex)
	if !ok {
		return &fullError{fmt.Sprintf("links: all %d entries that interface %d may have are in use", maps.LinkProbes, l.IfIndex)}
	}
	e := &r.links.entries[index]
	if e.link.is(l) {
		// The kernel drops the place in the redirect map when an interface goes away.
		if now, err := r.t.ReadLink(index); err != nil || now.Stale {
			e.link.known = false
		}
	}
	if at, ok := r.links.byIndex[l.IfIndex]; !ok || at != index || !e.link.is(l) {
		r.links.changed++
	}
	e.want, e.gone = l, time.Time{}
	r.links.byIndex[l.IfIndex] = index
	if err := e.link.set(r, l, func(l maps.Link) error { return r.t.WriteLink(index, l) }); err != nil {
		return fmt.Errorf("interface %d: %w", l.IfIndex, err)
	}
	return nil
}

// linkEntry finds the entry of an interface, else the first free one of those that it may have.
func (r *Reconciler) linkEntry(ifindex int) (uint16, bool) {
	if i, ok := r.links.byIndex[ifindex]; ok {
		return i, true
	}
	for k := range maps.LinkProbes {
		if i := maps.LinkSlot(ifindex, k); int(i) < len(r.links.entries) && r.links.entries[i].want.IfIndex == 0 {
			return i, true
		}
	}
	return 0, false
}

// hop turns a next hop into the word that packets use; unresolved when its interface has no entry.
func (r *Reconciler) hop(h *netdev.NextHop) maps.Hop {
	if !h.Resolved {
		return maps.Hop{}
	}
	i, ok := r.links.byIndex[h.IfIndex]
	if !ok || !r.links.entries[i].link.known {
		return maps.Hop{}
	}
	hop := maps.Hop{Link: i, MAC: h.DstMAC}
	if r.links.entries[i].link.value.Tags != (maps.Tags{}) {
		hop.Tags = maps.TagsOfLink
	}
	return hop
}

// restedLinks yields the entries of interfaces that are gone long enough.
func (r *Reconciler) restedLinks() []uint16 {
	var out []uint16
	for i := range r.links.entries {
		if e := &r.links.entries[i]; !e.gone.IsZero() && r.now().Sub(e.gone) >= grace {
			out = append(out, uint16(i))
		}
	}
	return out
}

// freeLinks frees the entries of interfaces that are gone and that no flow's replies leave by, and
// no node's packets either.
func (r *Reconciler) freeLinks(u *maps.Usage) error {
	used := map[uint16]bool{}
	for n := range r.nodes() {
		if !n.hop.known {
			return nil // it may be any; the next time it is known
		}
		if n.hop.value.Resolved() {
			used[n.hop.value.Link] = true
		}
	}
	for _, i := range r.restedLinks() {
		if used[i] || u.Link(i) {
			continue
		}
		e := &r.links.entries[i]
		if err := e.link.set(r, maps.Link{}, func(l maps.Link) error { return r.t.WriteLink(i, l) }); err != nil {
			return fmt.Errorf("interface %d: %w", e.want.IfIndex, err)
		}
		delete(r.links.byIndex, e.want.IfIndex)
		r.links.changed++
		*e = linkEntry{link: e.link}
	}
	return nil
}

// ErrFull is matched by the error of an Apply that found a map full. What there was room for is written.
var ErrFull = errors.New("no room left")

// fullError says that a map has no room left.
type fullError struct{ text string }

func (e *fullError) Error() string        { return e.text }
func (e *fullError) Is(target error) bool { return target == ErrFull }
