package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/headgate/headgate/pkg/lb"
)

// loop is the state of Run. Only its goroutine touches it.
type loop struct {
	*Manager
	ctx     context.Context
	probes  map[probeKey]*probe
	busy    map[probeKey]int // running checks, also of probes that are stopped
	methods map[lb.Check]*method
	queue   queue
	results chan outcome
	flying  int // sum of busy
	changed bool
	warned  time.Time // of checks that could not be made
	unable  int       // of those, since
}

// outcome is the end of one check.
type outcome struct {
	probe *probe
	err   error
	at    time.Time
}

// Run checks until ctx ends and no check runs any more, then returns nil. It must not run twice at a time.
func (m *Manager) Run(ctx context.Context) error {
	l := &loop{
		Manager: m,
		ctx:     ctx,
		probes:  map[probeKey]*probe{},
		busy:    map[probeKey]int{},
		methods: map[lb.Check]*method{},
		results: make(chan outcome, 256),
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer l.end()
	for {
		l.startDue()
		l.tell()
		l.arm(timer)
		select {
		case <-ctx.Done():
			return nil
		case <-m.kick:
			if targets, ok := m.takeWanted(); ok {
				l.retarget(targets)
			}
			l.hurryAll()
		case <-timer.C:
		case o := <-l.results:
			l.take(o)
			l.takeWaiting()
		}
	}
}

// end waits for the checks that ctx has cancelled.
func (l *loop) end() {
	for ; l.flying > 0; l.flying-- {
		<-l.results
	}
	l.meter.update(func(s *Stats) { s.InFlight = 0 })
}

// arm sets the timer to the next due check; with as many in flight as may be, the next result comes first.
func (l *loop) arm(timer *time.Timer) {
	if len(l.queue) == 0 || l.flying >= l.max {
		timer.Stop()
		return
	}
	timer.Reset(time.Until(l.queue.first().due))
}

// tell signals once what happened since the last time.
func (l *loop) tell() {
	if l.changed {
		l.changed = false
		signal(l.changes)
	}
}

func (l *loop) startDue() {
	now := time.Now()
	for len(l.queue) > 0 && l.flying < l.max && !l.queue.first().due.After(now) {
		p := l.queue.take()
		if l.busy[p.key] > 0 {
			continue // the check of a stopped probe with the same key; its end puts this one in again
		}
		l.start(p, now)
	}
}

func (l *loop) start(p *probe, now time.Time) {
	ctx, cancel := context.WithTimeout(l.ctx, p.key.how.Timeout)
	p.started, p.running, p.cancel = now, true, cancel
	l.busy[p.key]++
	l.flying++
	l.meter.started(now, now.Sub(p.due))
	go func() {
		defer cancel()
		err := p.key.how.probe(ctx, p.key.addr)
		l.results <- outcome{p, err, time.Now()}
	}()
}

// takeWaiting takes what else has ended, so that many results are told once.
func (l *loop) takeWaiting() {
	for range cap(l.results) {
		select {
		case o := <-l.results:
			l.take(o)
		default:
			return
		}
	}
}

// take counts a result and plans the next check.
func (l *loop) take(o outcome) {
	p := o.probe
	l.flying--
	if l.busy[p.key]--; l.busy[p.key] == 0 {
		delete(l.busy, p.key)
	}
	l.meter.update(func(s *Stats) { s.InFlight-- })
	p.running = false
	if p.stopped {
		if next := l.probes[p.key]; next != nil && !next.running && next.place == noPlace {
			l.queue.put(next) // it waited for this end
		}
		return
	}
	before := p.machine
	wait := l.count(p, o)
	if p.machine.health != before.health || p.machine.reason != before.reason {
		l.changed = true
	}
	p.publish()
	p.due = later(p.started.Add(wait), o.at)
	l.queue.put(p)
}

// overslept is how much longer than its timeout a check that failed may have taken to say something about the
// node. One that took longer ran on a host that did not come to run it, and an answer may have lain there.
const overslept = 500 * time.Millisecond

// count feeds the machine and says how long after its start the next check is due.
func (l *loop) count(p *probe, o outcome) time.Duration {
	how, took := p.key.how, o.at.Sub(p.started)
	if o.err != nil && took > how.Timeout+overslept {
		o.err = fmt.Errorf("%w: this host was too busy, or asleep: a check of %v took %v", ErrInconclusive, how.Timeout, took)
	}
	if errors.Is(o.err, ErrInconclusive) {
		p.machine.undecided(brief(o.err.Error()))
		l.meter.update(func(s *Stats) { s.Inconclusive++ })
		l.warn(p, o)
		return min(how.Interval, fastest)
	}
	reason := ""
	if o.err == nil {
		p.machine.succeed(o.at, took, how.Rise)
	} else {
		reason = failure(o.err, how)
		p.machine.fail(o.at, took, reason, how.Attempts)
	}
	p.history.add(Attempt{At: o.at, Duration: took, Reason: reason})
	l.meter.update(func(s *Stats) {
		s.Done++
		if o.err != nil {
			s.Failed++
		}
	})
	return p.wait()
}

func failure(err error, how *method) string {
	if errors.Is(err, errNoAnswer) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %v", how.Timeout)
	}
	return brief(err.Error())
}

// reasonMax is how many characters of a reason are kept: some are a node's own words.
const reasonMax = 160

// brief is one line of printable characters.
func brief(reason string) string {
	n := 0
	short := strings.Map(func(r rune) rune {
		switch n++; {
		case n > reasonMax:
			return -1
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, reason)
	if n > reasonMax {
		short += "…"
	}
	return short
}

// warn says that checks cannot be made, once a minute whatever their number.
func (l *loop) warn(p *probe, o outcome) {
	l.unable++
	if o.at.Sub(l.warned) < time.Minute {
		return
	}
	l.log.Warn("health checks cannot be made on this host; nodes keep their health meanwhile",
		"node", p.key.addr, "error", o.err, "checks", l.unable)
	l.warned, l.unable = o.at, 0
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
