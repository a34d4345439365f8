package health

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// pace is the time between the first checks of nodes that are new together: a few begin at once, ten thousand
// within three seconds. At three times that pace, 99 in 100 checks of the first minute were up to 0.9 s late, on two
// cores.
const pace = 300 * time.Microsecond

// turn is when the i-th of nodes that begin together begins: never later than its interval.
func turn(i int, interval time.Duration) time.Duration {
	return time.Duration(i) * pace % interval
}

// retarget takes a new set of targets.
func (l *loop) retarget(targets []Target) {
	now := time.Now()
	old, next := l.nodes.Load(), &nodes{roll: newRoll(len(targets))}
	fresh := map[*probe]bool{}
	hurried := 0
	for _, t := range targets {
		key := l.key(t)
		p := l.probes[key]
		switch {
		case p == nil:
			p = l.newProbe(key, t, old.of(t.Key), now, turn(len(fresh), key.how.Interval))
			l.probes[key], fresh[p] = p, true
		case fresh[p] && old.of(t.Key) == nil:
			// Another node with the same probe came first; what is known best is the latest.
			if m := begin(t, now); m.at.After(p.machine.at) {
				p.machine = m
			}
		case t.Since.After(p.started):
			// Another node has the same probe, or this one was away for a moment.
			l.hurry(p, now.Add(turn(hurried, key.how.Interval)))
			hurried++
		}
		next.add(t.Key)
		next.probes = append(next.probes, p)
	}
	l.stopAllBut(next.probes)
	l.dropMethods()
	for p := range fresh {
		p.publish()
		l.queue.put(p)
	}
	l.nodes.Store(next)
	l.changed = true
	l.meter.update(func(s *Stats) { s.Targets, s.Probes = len(next.probes), len(l.probes) })
}

// hurry moves the next check of a probe that waits to the front.
func (l *loop) hurry(p *probe, due time.Time) {
	if p.place != noPlace && due.Before(p.due) {
		l.queue.drop(p)
		p.due = due
		l.queue.put(p)
	}
}

// newProbe makes the probe of a target that is new, or checked in a new way: then what former knows holds
// on. Its first check is due after delay, unless there is no hurry.
func (l *loop) newProbe(key probeKey, t Target, former *probe, now time.Time, delay time.Duration) *probe {
	p := &probe{key: key, place: noPlace, due: now.Add(delay)}
	if former == nil {
		p.machine = begin(t, now)
		if p.machine.health != lb.Unknown { // as after a restart: spread over the interval
			p.due = now.Add(time.Duration(rand.Int64N(int64(key.how.Interval))))
			p.spread = true
		}
		return p
	}
	p.machine, p.spread = former.machine, former.spread
	former.history.copyTo(&p.history)
	if former.key.addr == key.addr && !former.running {
		p.due = later(former.started.Add(p.wait()), p.due)
	}
	return p
}

// key is that of a target's probe.
func (l *loop) key(t Target) probeKey {
	addr := t.Key.Address
	if t.Check.Port != 0 {
		addr = netip.AddrPortFrom(addr.Addr(), t.Check.Port)
	}
	check := bounded(essence(*t.Check))
	how := l.methods[check]
	if how == nil {
		how = &method{check, l.prepare(check)}
		l.methods[check] = how
	}
	return probeKey{addr, how}
}

// dropMethods forgets those that no probe uses any more, nor the check of one that was stopped.
func (l *loop) dropMethods() {
	used := make(map[*method]bool, len(l.methods))
	for key := range l.probes {
		used[key.how] = true
	}
	for key := range l.busy {
		used[key.how] = true
	}
	maps.DeleteFunc(l.methods, func(_ lb.Check, how *method) bool { return !used[how] })
}

func (l *loop) stopAllBut(wanted []*probe) {
	keep := make(map[*probe]bool, len(wanted))
	for _, p := range wanted {
		keep[p] = true
	}
	for key, p := range l.probes {
		if keep[p] {
			continue
		}
		delete(l.probes, key)
		p.stopped = true
		switch {
		case p.running:
			p.cancel()
		case p.place != noPlace:
			l.queue.drop(p)
		}
	}
}
