package reconcile

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// snats is the table of addresses that NAT sends from. Nodes name a run of them; flows hold the
// address itself, so an entry may be given to another address once no node names it.
type snats struct {
	entries []snatEntry
	last    sourcing
}

// sourcing is what a node of a round was given to send from. Of thousands mostly all others are given the same.
type sourcing struct {
	round  uint64
	is4    bool
	source netip.Addr // that the kernel would use
	run    maps.SNATRange
}

type snatEntry struct {
	addr    netip.Addr // what belongs there; invalid: free
	written cell[netip.Addr]
	unused  time.Time // since when no node names it; zero: one does
}

// snatsFor returns the run of source addresses for a node: the configured ones of its family, else
// the one that the kernel would use, else what the node had. Count 0: there is none.
func (r *Reconciler) snatsFor(n *state.Node, had maps.SNATRange) (maps.SNATRange, error) {
	s := sourcing{round: r.round, is4: n.Key.Address.Addr().Is4(), source: n.Hop.Source}
	if last := &r.snats.last; last.round == s.round && last.is4 == s.is4 && last.source == s.source {
		return last.run, nil
	}
	var addrs []netip.Addr
	for _, a := range r.opts.SNAT {
		if a.Is4() == s.is4 {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 && s.source.IsValid() && s.source.Is4() == s.is4 {
		addrs = []netip.Addr{s.source}
	}
	if len(addrs) == 0 {
		return had, nil
	}
	run, err := r.snats.run(r, addrs)
	if s.run = run; err == nil {
		r.snats.last = s
	}
	return run, err
}

// run returns a run of entries that hold these addresses, in order; a new one if need be.
func (s *snats) run(r *Reconciler, addrs []netip.Addr) (maps.SNATRange, error) {
	first, ok := s.find(len(addrs), func(i int, e *snatEntry) bool { return e.addr == addrs[i] })
	if !ok {
		first, ok = s.find(len(addrs), func(_ int, e *snatEntry) bool { return !e.addr.IsValid() })
	}
	if !ok {
		return maps.SNATRange{}, &fullError{fmt.Sprintf("snats: no room for %d addresses in a row (%d entries)", len(addrs), len(s.entries))}
	}
	for i, a := range addrs {
		e, index := &s.entries[first+i], uint16(first+i)
		e.addr, e.unused = a, time.Time{}
		// Replies must find it ours before the first packet leaves with it.
		if err := r.needOurs(a); err != nil {
			return maps.SNATRange{}, fmt.Errorf("source address %s: %w", a, err)
		}
		if err := e.written.set(r, a, func(a netip.Addr) error { return r.t.WriteSNAT(index, a) }); err != nil {
			return maps.SNATRange{}, fmt.Errorf("source address %s: %w", a, err)
		}
	}
	return maps.SNATRange{First: uint16(first), Count: uint16(len(addrs))}, nil
}

// find returns the first run of n entries that all fit.
func (s *snats) find(n int, fits func(i int, e *snatEntry) bool) (int, bool) {
next:
	for first := 0; first+n <= len(s.entries); first++ {
		for i := range n {
			if !fits(i, &s.entries[first+i]) {
				continue next
			}
		}
		return first, true
	}
	return 0, false
}

// sweepSNATs frees the entries that no node has named for a grace period.
func (r *Reconciler) sweepSNATs() error {
	used := make([]bool, len(r.snats.entries))
	for n := range r.nodes() {
		if !n.snats.known {
			return nil // it may name any; the next time it is known
		}
		for i := range n.snats.value.Count {
			if at := int(n.snats.value.First) + int(i); at < len(used) {
				used[at] = true
			}
		}
	}
	now := r.now()
	for i := range r.snats.entries {
		e := &r.snats.entries[i]
		switch {
		case used[i]:
			e.unused = time.Time{}
		case !e.addr.IsValid() && e.written.is(netip.Addr{}):
		case e.unused.IsZero():
			e.unused = now
		case now.Sub(e.unused) >= grace:
			if err := e.written.set(r, netip.Addr{}, func(a netip.Addr) error { return r.t.WriteSNAT(uint16(i), a) }); err != nil {
				return fmt.Errorf("snats[%d]: %w", i, err)
			}
			*e = snatEntry{written: e.written}
		}
	}
	return nil
}
