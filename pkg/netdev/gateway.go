package netdev

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
)

// hop is the way to a target as far as it is known.
func (w *world) hop(t *target) NextHop {
	if t.gateway == nil {
		return NextHop{Reason: w.noPath(t)}
	}
	l, ok := w.links[t.path.ifindex]
	if !ok {
		return NextHop{Reason: fmt.Sprintf("the link to %s is gone", t.addr)}
	}
	n := w.neighs[t.gateway.key]
	hop := NextHop{
		IfIndex: l.Index,
		IfName:  l.Name,
		SrcMAC:  l.MAC,
		Source:  t.path.source,
		Via:     t.path.via,
		MTU:     l.MTU,
	}
	if t.path.mtu > 0 && t.path.mtu < l.MTU {
		hop.MTU = t.path.mtu
	}
	if l.Parent != 0 {
		hop.Parent = w.links[l.Parent].Name
	}
	switch {
	case !l.Up:
		hop.Reason = fmt.Sprintf("link %s is down", l.Name)
	case !l.ethernet:
		hop.Reason = fmt.Sprintf("link %s does not carry Ethernet frames", l.Name)
	case l.Kind == kindVLAN && l.Parent == 0:
		hop.Reason = fmt.Sprintf("link %s has more than %d VLAN tags, or its parent is in another network namespace", l.Name, maxTags)
	case n.usable():
		hop.Resolved, hop.DstMAC = true, n.mac
	case t.gateway.silent:
		hop.Reason = fmt.Sprintf("neighbour %s on %s does not answer", hop.Via, l.Name)
	default:
		hop.Pending = true
		hop.Reason = fmt.Sprintf("neighbour %s on %s has not answered yet", hop.Via, l.Name)
	}
	return hop
}

// noPath explains why there is no route. A link that is down takes its routes along; then it is the cause
// to name: the one that the target was last reached by, or one whose addresses make it on-link.
func (w *world) noPath(t *target) string {
	if !t.path.noRoute {
		return t.path.reason
	}
	if l, ok := w.links[t.ifindex]; ok && !l.Up {
		return fmt.Sprintf("%s: link %s is down", t.path.reason, l.Name)
	}
	for _, l := range sortedLinks(w.links) {
		covers := func(p netip.Prefix) bool { return p.Contains(t.addr) }
		if !l.Up && slices.ContainsFunc(w.links[l.Index].Prefixes, covers) {
			return fmt.Sprintf("%s: link %s is down", t.path.reason, l.Name)
		}
	}
	return t.path.reason
}

// readNeighs reads the kernel's tables and applies what is different.
func (w *world) readNeighs() bool {
	neighs, err := w.neigh.list()
	if err != nil {
		w.log.Warn("cannot read the neighbours; trying again", "error", err)
		return false
	}
	w.stale.neighs = false
	old := w.neighs
	w.neighs = neighs
	for key, g := range w.gateways {
		if old[key] != neighs[key] {
			w.follow(g, neighs[key])
		}
	}
	return true
}

// noteNeigh takes in what the kernel says about one neighbour.
func (w *world) noteNeigh(data []byte, gone bool) {
	key, n, ok := parseNeigh(data)
	if !ok {
		return
	}
	if gone {
		n = neighbour{}
		delete(w.neighs, key)
	} else {
		w.neighs[key] = n
	}
	if g := w.gateways[key]; g != nil {
		w.follow(g, n)
	}
}

// follow acts on the new state of a gateway's neighbour.
func (w *world) follow(g *gateway, n neighbour) {
	switch {
	case n.usable():
		g.silent = false
		if n.state&netlink.NUD_REACHABLE != 0 {
			g.due = time.Now().Add(jitter(w.timing.refresh)) // it has just answered
		}
	default:
		g.silent = g.silent || n.state&netlink.NUD_FAILED != 0
		w.ask(g)
	}
	w.rehop(g)
}

// engage begins to use a gateway. One that is known to the kernel but perhaps not true any more, as after a
// restart, is used at once and validated soon.
func (w *world) engage(g *gateway) {
	now := time.Now()
	n := w.neighs[g.key]
	switch {
	case n.state&netlink.NUD_REACHABLE != 0:
		g.due = now.Add(jitter(w.timing.refresh))
	default:
		g.due = now.Add(time.Duration(rand.Int64N(int64(w.timing.retry))))
	}
	g.silent = n.state&netlink.NUD_FAILED != 0
	w.ask(g)
}

// patience is how many retries long the kernel may resolve a neighbour until it is asked again without
// having said that it failed: it says so after three requests, a second apart.
const patience = 5

// ask has the kernel resolve a gateway's neighbour, unless that is known, or was asked a moment ago.
func (w *world) ask(g *gateway) {
	n := w.neighs[g.key]
	l := w.links[g.key.ifindex]
	if n.usable() || !l.Up || !l.ethernet {
		return
	}
	wait := w.timing.retry
	if n.state&netlink.NUD_INCOMPLETE != 0 {
		wait *= patience
	}
	now := time.Now()
	if now.Sub(g.asked) < wait {
		return
	}
	g.asked = now
	n, err := w.neigh.resolve(g.key)
	if err != nil {
		// The link or the route went away in this moment; the event of that is under way.
		w.log.Debug("trying again", "error", err)
		return
	}
	w.neighs[g.key] = n // the kernel tells the outcome, but not that it began
	if n.usable() {
		w.rehop(g) // somebody else was faster, and the event of that is under way
	}
}

// retry asks again for what is unresolved, validates what is due, and lets go what is not used any more.
func (w *world) retry() {
	now := time.Now()
	for _, g := range w.gateways {
		w.ask(g)
		w.validate(g, now)
	}
	if !w.aimed {
		return // the targets that a former run resolved are about to be named
	}
	for key, n := range w.neighs {
		if !n.ours() || w.gateways[key] != nil {
			continue
		}
		n, err := w.neigh.release(key)
		if err != nil {
			w.log.Debug("trying again", "error", err)
			continue
		}
		if n == (neighbour{}) {
			delete(w.neighs, key)
			continue
		}
		w.neighs[key] = n
	}
}

// validate has the kernel ask a known neighbour whether it is still there, when that is due.
func (w *world) validate(g *gateway, now time.Time) {
	if !w.neighs[g.key].settled() || now.Before(g.due) {
		return
	}
	g.due = now.Add(jitter(w.timing.refresh))
	if _, err := w.neigh.validate(g.key); err != nil {
		w.log.Debug("trying again", "error", err)
	}
}
