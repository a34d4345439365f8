package daemon

import (
	"time"

	"github.com/headgate/headgate/pkg/maps"
)

// look is what the maps said of all nodes at a time.
type look struct {
	at     time.Time
	nodes  []maps.NodeState
	sticks map[uint32]uint64 // clients that stick to nodes, by their numbers; nil: nobody asked
	err    error
	sample bool // it is time to remember them
}

// lookAtNodes reads what the maps say of all nodes, if somebody waits for it, while the engine goes on: no change
// has to wait for a walk past ten thousand.
func (e *engine) lookAtNodes(now time.Time) {
	sample := now.Sub(e.sampled) >= sampleInterval
	if e.looking || !sample && !e.herald.drains.watching() {
		return
	}
	e.looking = true
	e.herald.drains.begin()
	l := look{at: now, sample: sample}
	asked := e.herald.drains.asksForSticks()
	go func() {
		if l.nodes, l.err = e.reader.Nodes(); l.err == nil && asked {
			l.sticks, l.err = e.reader.CountSticks()
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
	if l.sample {
		e.sampled = l.at
		e.rates.add(take(l.at, l.nodes))
		e.traffic.take(l.at, l.nodes, e.store.Get().Balancers)
	}
}

// endLook returns once nobody reads the maps any more, which may be closed then.
func (e *engine) endLook() {
	if e.looking {
		<-e.looked
		e.looking = false
	}
}
