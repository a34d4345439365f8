package daemon

import (
	"time"

	"github.com/headgate/headgate/pkg/maps"
)

// everySecond does what nothing announces: health as checks confirm it (its time is kept in the
// maps for the next start), interfaces that could not be attached, or not be freed of a capture, ids whose last
// flow ended.
func (e *engine) everySecond(now time.Time) {
	e.says.tick()
	e.state.SetHealth(e.checks.Snapshot())
	if e.touchDue == nil { // else the last second's is still going on
		e.touch(0)
	}
	e.ports.update(e.network.Links())
	e.unended.retry(e.says)
	e.signals.review(e.state.View(), now)
	e.lookAtNodes(now)
}

// touch has a part of the configs say anew when they were checked last, and then, within the second, the others:
// thousands at once would keep changes waiting.
func (e *engine) touch(part int) {
	parts := min(touchParts, 1+len(e.state.View().Services)/touchAtOnce)
	e.state.Touch(part, parts)
	e.touchDue, e.touchNext = nil, part+1
	if e.touchNext < parts {
		e.touchDue = time.After(tickInterval / time.Duration(parts))
	}
}

// look is what the maps said at a time of the nodes that somebody waits for.
type look struct {
	at     time.Time
	nodes  []maps.NodeState
	sticks map[uint32]uint64 // clients that stick to nodes, by their numbers; nil: nobody asked
	sample *sample           // of all nodes; nil: it was not yet time to remember them
	err    error

	// With a sample: how full tables are of which nodes' flows leave that open, source ports, what was refused of
	// each config, and now and then what is remembered of clients.
	fill    []maps.TableFill
	ports   map[uint32]maps.PortUse
	refused []maps.Refusals
	clients []maps.ClientFill
}

// lookAtNodes reads what the maps say of nodes, if somebody waits for it, while the engine goes on: no change
// has to wait for a walk past ten thousand. All of them are read only for what is remembered of all.
func (e *engine) lookAtNodes(now time.Time) {
	sample := now.Sub(e.sampled) >= sampleInterval
	if e.looking || !sample && !e.herald.drains.watching() {
		return
	}
	e.looking = true
	wanted, asked := e.herald.drains.begin(), e.herald.drains.asksForSticks()
	if sample {
		wanted = func(*maps.Node) bool { return true }
	}
	tablesFrom, clients := e.limits.asksFor(now)
	go func() {
		l := look{at: now}
		if l.nodes, l.err = e.reader.NodesWhere(wanted); l.err == nil && asked {
			l.sticks, l.err = e.reader.CountSticks()
		}
		if l.err == nil && sample {
			l.sample = take(now, l.nodes)
			e.traffic.take(now, l.nodes, e.store.Get().Balancers)
			l.readLimits(e.reader, tablesFrom, clients)
		}
		e.looked <- l
	}()
}

// takeLook goes by what was read.
func (e *engine) takeLook(l look) {
	e.looking = false
	if l.err != nil {
		return // Status will say it
	}
	e.herald.drains.look(l.at, l.nodes, l.sticks)
	if l.sample != nil {
		e.sampled = l.at
		e.rates.add(l.sample)
		e.limits.look(&l)
	}
}

// endLook returns once nobody reads the maps any more, which may be closed then.
func (e *engine) endLook() {
	if e.looking {
		<-e.looked
		e.looking = false
	}
}
