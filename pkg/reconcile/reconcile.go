// Package reconcile makes the maps of the data path say what a View says. It is the only writer
// of the maps: here is the order in which things are written so that no packet ever sees a
// mixture, here ids are given and taken back, and here is what a restart finds again.
//
// To add is to write what will be pointed to before what points to it: links, source addresses,
// node records, slots, then the service's word, which commits all of it in one store, and for a
// new service its VIP last. To remove is the reverse. Whatever packets may still read after it
// was replaced rests for a grace period before it is written again.
package reconcile

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
	"github.com/headgate/headgate/pkg/state"
)

// grace is how long what was taken out of use rests before it is used again: far longer than one
// packet takes from its lookup of a table to its last look at a node.
const grace = time.Second

// Options are what a Reconciler is made with.
type Options struct {
	// SNAT are the addresses that NAT sends from. For a family without one it is the address that
	// the kernel would send from to each node.
	SNAT []netip.Addr
	Log  *slog.Logger     // nil: slog.Default
	Now  func() time.Time // nil: time.Now
}

// Reconciler writes the maps. Its methods must not be called concurrently.
//
// It keeps what it knows of the maps in cells, and writes only what differs. A write that failed
// makes its cell unknown, so that the next Apply writes it again; so nothing is lost by an error.
type Reconciler struct {
	t    maps.Tables
	opts Options
	log  *slog.Logger
	now  func() time.Time

	books
	directory Directory
	restored  bool
	writes    int
	warnings  []string
	round     uint64           // counts Applies
	seen      []*state.Service // of the last View
	met       []*service       // what there is of each of them; nil: nothing
	wanted    int              // services that there were when the round began and that the View has
	leaving   bool             // services were taken back, and maybe not yet their addresses
	followed  moment           // the hops of nodes that are gone are as they were then
	tidied    time.Time        // when what was removed was looked after last, and nothing failed
}

// books is what the Reconciler knows of the maps, found by Restore.
type books struct {
	services map[uint32]*service
	byVIP    map[maps.VIP]*service
	orphans  []*node        // records that belong to nobody; they go when their flows have gone
	departed map[*node]bool // nodes that are removed, orphans included
	stray    []maps.VIP     // published for a service that does not know them

	serviceIDs ids
	nodeIDs    ids
	slots      *extents
	groups     groups
	snats      snats
	links      links
	tags       tags
	ours       ours
	addresses  addresses
	announced  announced
	scan       scan
}

// Applied says what an Apply did.
type Applied struct {
	Generation uint64   // of the View; the data path runs it when there was no error
	Writes     int      // operations on the maps
	Removed    int      // nodes that are gone but whose ids are kept because of their flows
	Warnings   []string // what works less well than it should, for people
}

// New makes a Reconciler of tables that nobody else writes.
func New(t maps.Tables, opts Options) *Reconciler {
	r := &Reconciler{t: t, opts: opts, log: opts.Log, now: opts.Now}
	if r.log == nil {
		r.log = slog.Default()
	}
	if r.now == nil {
		r.now = time.Now
	}
	return r
}

// Directory says which ids the nodes have, from the first Restore or Apply on.
func (r *Reconciler) Directory() *Directory { return &r.directory }

// Apply makes the maps say what the View says. It is idempotent, and cheap when there is nothing
// to do: a service that was applied and that the View has not built anew costs a look. One service's failure
// does not keep the others from being applied; after an error the next Apply completes what is missing. Limits
// that are reached are errors that name the map.
//
// links are the host's interfaces; the first have precedence should there be too many of them. The
// caller applies at least every few seconds even if nothing has changed: what was removed is
// cleared away as its flows end, and the times of checks are written for the next restart.
func (r *Reconciler) Apply(v *state.View, hostLinks []netdev.Link) (Applied, error) {
	if err := r.restoreOnce(); err != nil {
		return Applied{}, err
	}
	r.writes, r.warnings = 0, nil
	r.meet(v)
	r.slots.release(r.now())
	errs := []error{
		r.applyLinks(v, hostLinks),
		r.silence(v),
		r.removeServices(v),
		r.removeOrphans(),
		r.applyServices(v),
		r.announce(v),
		r.removeAddresses(v),
		r.followHops(v),
		r.tidy(v),
	}
	return Applied{Generation: v.Generation, Writes: r.writes, Removed: len(r.departed), Warnings: r.warnings}, errors.Join(errs...)
}

// meet begins a round: it finds what there is of each service of the View. Where a service stands as it stood in
// the View before, that is known.
func (r *Reconciler) meet(v *state.View) {
	r.round++
	r.wanted = 0
	met := make([]*service, len(v.Services))
	for i, s := range v.Services {
		svc := (*service)(nil)
		if i < len(r.seen) && r.seen[i] == s {
			svc = r.met[i]
		}
		if svc == nil || !svc.gone.IsZero() {
			svc = r.byVIP[vipOf(s)]
		}
		if svc != nil && svc.wanted != r.round {
			svc.wanted = r.round
			r.wanted++
		}
		met[i] = svc
	}
	r.seen, r.met = v.Services, met
}

func wantedVIPs(v *state.View) map[maps.VIP]bool {
	wanted := make(map[maps.VIP]bool, len(v.Services))
	for i := range v.Services {
		wanted[vipOf(v.Services[i])] = true
	}
	return wanted
}

// tidyPause is between two looks after what was removed, which take a walk past all nodes. Many changes a second
// must not wait for that each time.
const tidyPause = 500 * time.Millisecond

// tidy takes back what was removed, as far as nothing needs it any more.
func (r *Reconciler) tidy(v *state.View) error {
	now := r.now()
	if pause := now.Sub(r.tidied); pause >= 0 && pause < tidyPause {
		return nil
	}
	r.tidied = time.Time{}
	r.sweepGroups()
	if err := errors.Join(r.sweepSNATs(), r.collect(wantedVIPs(v))); err != nil {
		return err
	}
	r.tidied = now
	return nil
}

// Lingering returns the addresses of nodes that are gone but have flows left. They need next hops
// as much as the View's do.
func (r *Reconciler) Lingering() []netip.Addr {
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	for n := range r.departed {
		if a := n.address.Addr(); a.IsValid() && !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}

func (r *Reconciler) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

func vipOf(s *state.Service) maps.VIP {
	return maps.VIP{Addr: s.VIP, Port: s.Port, Protocol: s.Protocol}
}
