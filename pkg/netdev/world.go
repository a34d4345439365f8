package netdev

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// world is the network as Run knows it. Only Run's goroutine touches it.
type world struct {
	*Resolver
	links    map[int]link
	neighs   map[neighKey]neighbour // both tables of the kernel, whole
	targets  map[netip.Addr]*target
	gateways map[neighKey]*gateway

	stale    stale
	hops     hopBook     // to be published
	list     []Link      // to be published
	relisted bool        // list differs from what is published
	aimed    bool        // targets were named once
	wake     *time.Timer // for work that is put off
	lookNext time.Time   // all routes are not looked up again before
	showNext time.Time   // nothing is published before
}

// target is one address to keep resolved.
type target struct {
	addr    netip.Addr
	path    path
	gateway *gateway // nil while there is no route
	ifindex int      // of the last route; tells why there is none now
}

// gateway is a neighbour in use, shared by all targets behind it.
type gateway struct {
	key     neighKey
	targets map[*target]struct{}
	asked   time.Time // when the kernel was last told to resolve it
	due     time.Time // when it is to be validated
	silent  bool      // it failed, and did not answer since
}

// stale says what of the world is to be read again.
type stale struct {
	links, neighs, routes bool
	prefixes              []netip.Prefix // only the routes to targets in them
}

// maxPrefixes is how many changed prefixes are looked at one by one before all routes are.
const maxPrefixes = 64

func (s *stale) everything() { *s = stale{links: true, neighs: true, routes: true} }

func (s *stale) prefix(p netip.Prefix) {
	if s.routes {
		return
	}
	if s.prefixes = append(s.prefixes, p); len(s.prefixes) > maxPrefixes {
		s.routes, s.prefixes = true, nil
	}
}

func newWorld(r *Resolver) *world {
	w := &world{
		Resolver: r,
		neighs:   map[neighKey]neighbour{},
		targets:  map[netip.Addr]*target{},
		gateways: map[neighKey]*gateway{},
		list:     r.Links(),
		wake:     time.NewTimer(time.Hour),
	}
	w.stale.everything()
	return w
}

// noteWaiting takes what else has arrived, so that a burst is settled once.
func (w *world) noteWaiting(events <-chan event) {
	for range cap(events) {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			w.note(e)
		default:
			return
		}
	}
}

// note takes neighbours in, and remembers what else a batch of events makes stale.
func (w *world) note(e event) {
	if e.lost {
		w.log.Info("network changes came faster than they could be read; reading all anew")
		w.stale.everything()
	}
	for _, m := range e.msgs {
		switch m.Header.Type {
		case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
			w.noteNeigh(m.Data, m.Header.Type == unix.RTM_DELNEIGH)
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if p, ok := routePrefix(m.Data); ok {
				w.stale.prefix(p)
			}
		case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR:
			// IPv4 drops routes without a word when a link goes down or an address is removed.
			w.stale.links, w.stale.routes = true, true
		default: // rules, next-hop objects
			w.stale.routes = true
		}
	}
}

// settle brings everything up to date that is stale, and publishes it. What fails is tried again with
// the next event or the next retry.
func (w *world) settle() {
	if w.stale.neighs && !w.readNeighs() {
		return
	}
	if w.stale.links && !w.readLinks() {
		return
	}
	w.lookUp()
	w.show()
}

func (w *world) readLinks() bool {
	links, err := readLinks(w.handle)
	if err != nil {
		w.log.Warn("cannot read the links; trying again", "error", err)
		return false
	}
	w.stale.links = false
	former := w.links
	w.links = links
	list := sortedLinks(links)
	if !slices.EqualFunc(list, w.list, equalLinks) {
		w.list, w.relisted = list, true
	}
	for _, g := range w.gateways {
		if index := g.key.ifindex; links[index].Up && !former[index].Up {
			g.asked = time.Time{} // it lost its neighbours, and what was asked before has come to nothing
			w.ask(g)
		}
		w.rehop(g)
	}
	return true
}

// lookUp asks for the routes that are stale. All of them at once, for thousands of targets, costs so
// much that a network which never rests must not make us do nothing else: a fifth of a CPU is enough.
func (w *world) lookUp() {
	start := time.Now()
	if w.stale.routes {
		if start.Before(w.lookNext) {
			w.wakeAt(w.lookNext)
			return
		}
		for _, t := range w.targets {
			w.route(t)
		}
		w.stale.routes, w.stale.prefixes = false, nil
		end := time.Now()
		w.lookNext = end.Add(4 * end.Sub(start))
		return
	}
	for _, p := range w.stale.prefixes {
		for _, t := range w.targets {
			if p.Contains(t.addr.WithZone("")) {
				w.route(t)
			}
		}
	}
	w.stale.prefixes = nil
}

// show publishes what changed, likewise not for more than a fifth of a CPU.
func (w *world) show() {
	if !w.hops.changed && !w.relisted {
		return
	}
	start := time.Now()
	if start.Before(w.showNext) {
		w.wakeAt(w.showNext)
		return
	}
	w.publish(w.hops.hops(), w.list)
	w.relisted = false
	end := time.Now()
	w.showNext = end.Add(4 * end.Sub(start))
}

func (w *world) wakeAt(t time.Time) { w.wake.Reset(time.Until(t)) }

// retarget takes in targets that came, and lets go of those that went.
func (w *world) retarget(moved map[netip.Addr]bool) {
	w.aimed = true
	for addr, came := range moved {
		switch t := w.targets[addr]; {
		case came && t == nil:
			t = &target{addr: addr}
			w.targets[addr] = t
			w.route(t)
		case !came && t != nil:
			w.via(t, neighKey{})
			delete(w.targets, addr)
			w.hops.drop(addr)
		}
	}
}

// route looks up the way to one target.
func (w *world) route(t *target) {
	t.path = w.lookUpPath(t)
	key := neighKey{}
	if t.path.reason == "" {
		key = neighKey{t.path.ifindex, t.path.via}
		t.ifindex = t.path.ifindex
	}
	w.via(t, key)
	w.setHop(t)
}

func (w *world) lookUpPath(t *target) path {
	zone := 0
	if name := t.addr.Zone(); name != "" {
		if zone = w.zoneIndex(name); zone == 0 {
			return path{reason: fmt.Sprintf("no link %s for %s", name, t.addr)}
		}
	}
	return lookupPath(w.handle, t.addr, zone)
}

func (w *world) zoneIndex(zone string) int {
	for _, l := range w.links {
		if l.Name == zone || strconv.Itoa(l.Index) == zone {
			return l.Index
		}
	}
	return 0
}

// via puts a target behind a gateway; the zero key behind none.
func (w *world) via(t *target, key neighKey) {
	if g := t.gateway; g != nil {
		if g.key == key {
			return
		}
		t.gateway = nil
		if delete(g.targets, t); len(g.targets) == 0 {
			delete(w.gateways, g.key)
		}
	}
	if key == (neighKey{}) {
		return
	}
	g := w.gateways[key]
	if g == nil {
		g = &gateway{key: key, targets: map[*target]struct{}{}}
		w.gateways[key] = g
		w.engage(g)
	}
	g.targets[t] = struct{}{}
	t.gateway = g
}

// rehop works out the hops behind a gateway again.
func (w *world) rehop(g *gateway) {
	for t := range g.targets {
		w.setHop(t)
	}
}

func (w *world) setHop(t *target) { w.hops.set(t.addr, w.hop(t)) }

// jitter is about d, ±20 %: neighbours found together are not validated together for ever.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
