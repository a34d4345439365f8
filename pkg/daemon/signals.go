package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

const (
	// signalsPause is from one reading of reports to the next: of thousands of nodes that fail at once each reports
	// many times a second.
	signalsPause = 50 * time.Millisecond
	// toldPause is from one event about the reports of a node to the next.
	toldPause = time.Minute
)

// What signals needs of others.
type (
	signalSource interface {
		Next() ([]maps.Signal, error)
		Close() error
	}
	hurrier       interface{ Hurry(lb.NodeKey) bool }
	asker         interface{ Answers(netip.AddrPort) error }
	troubleReader interface {
		Trouble(id uint32) (maps.Trouble, error)
		ReadNodeInfo(id uint32) (maps.NodeInfo, error)
	}
)

// signals hears from the data path which nodes fail clients' connections. A node that is checked is checked at
// once; one that nobody checks may be ejected. Its methods may be called concurrently.
type signals struct {
	source  signalSource
	checks  hurrier
	asks    asker
	ejector *health.Ejector
	reader  troubleReader
	says    *chronicle

	mu       sync.Mutex
	seen     map[lb.NodeKey]sighting
	asked    map[lb.NodeKey]asking
	underway int // nodes that are being asked
}

func newSignals(source signalSource, checks hurrier, asks asker, reader troubleReader, says *chronicle) *signals {
	return &signals{
		source: source, checks: checks, asks: asks, ejector: health.NewEjector(), reader: reader, says: says,
		seen: map[lb.NodeKey]sighting{}, asked: map[lb.NodeKey]asking{},
	}
}

// sighting is the last report about a node.
type sighting struct {
	id      uint32 // of the node
	failure health.Failure
	checked bool      // the node is
	told    time.Time // the last event about it
}

// run takes reports until the context ends.
func (s *signals) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.source.Close() })
	defer stop()
	for {
		list, err := s.source.Next()
		switch {
		case errors.Is(err, maps.ErrSignalsClosed):
			return nil
		case err != nil:
			return err
		}
		s.take(list, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(signalsPause):
		}
	}
}

// take acts on reports.
func (s *signals) take(list []maps.Signal, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range list {
		key := lb.NodeKey{Config: r.ConfigKey(), Address: r.Address}
		f := health.Failure{Key: key, How: r.Kind.String(), InARow: int(r.InARow), At: now}
		checked := s.checks.Hurry(key)
		if !checked {
			s.judge(f)
		}
		s.note(r.Node, f, checked)
	}
}

const (
	// askedMost is how many nodes are asked at the same time. Others are when they are reported again.
	askedMost = 256
	// askPause is from one time that a node is asked to the next.
	askPause = time.Second
)

// asking is what is known of a node from asking it.
type asking struct {
	underway bool
	at       time.Time
	forgiven int // connections in a row that it failed before it answered: they were not its doing
}

// judge has a node ejected that has failed often enough. That a SYN was left unanswered may be its sender's doing: one
// with a wrong checksum no server would answer. So such a node is asked first, by a SYN that is good. The caller
// holds the lock.
func (s *signals) judge(f health.Failure) {
	known := s.asked[f.Key]
	if f.InARow < known.forgiven { // it has taken one since, and they are counted anew
		known.forgiven = 0
	}
	inARow := f.InARow
	f.InARow -= known.forgiven
	switch {
	case f.InARow < health.EjectAfter:
	case f.How != maps.Unanswered.String():
		s.ejector.Fail(f)
	case !known.underway && f.At.Sub(known.at) >= askPause && s.underway < askedMost:
		known.underway, known.at = true, f.At
		s.underway++
		go s.ask(f, inARow)
	}
	s.asked[f.Key] = known
}

// ask has a node ejected if it does not answer, and else forgives it what it failed so far.
func (s *signals) ask(f health.Failure, inARow int) {
	err := s.asks.Answers(f.Key.Address)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underway--
	known := s.asked[f.Key]
	known.underway = false
	if err != nil {
		s.ejector.Fail(f)
	} else {
		known.forgiven = inARow
	}
	s.asked[f.Key] = known
}

// note keeps a report for people, and tells of it now and then.
func (s *signals) note(id uint32, f health.Failure, checked bool) {
	last := s.seen[f.Key]
	told := last.told
	if f.At.Sub(told) >= toldPause {
		told = f.At
		name := lb.NodeName(f.Key.Config, f.Key.Address.String())
		if info, err := s.reader.ReadNodeInfo(id); err == nil {
			name = lb.NodeName(f.Key.Config, info.Label)
		}
		what := fmt.Sprintf("%s: %s", name, f)
		if f.InARow == 1 {
			what = fmt.Sprintf("%s: a client's connection %s", name, health.HowFailed(f.How))
		}
		if checked {
			what += "; the node is checked at once"
		}
		s.says.note(events.Event{Kind: events.Passive, Config: f.Key.Config.String(), Node: name, To: f.How, Text: what})
	}
	s.seen[f.Key] = sighting{id, f, checked, told}
}

// last is the last report about a node.
func (s *signals) last(key lb.NodeKey) (health.Failure, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.seen[key]
	return at.failure, ok
}

// newly is how long after its last report the data path may have counted more than it has told.
const newly = 2 * time.Second

// review ends the ejections of nodes that take connections after all, as those may that are spared because others
// are out; ejects those that have failed more connections than the reports said, since these are few; and forgets
// nodes that are gone.
func (s *signals) review(v *state.View, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.ejector.Ejections(now)
	for key, last := range s.seen {
		_, isOut := out[key]
		if last.checked || !isOut && now.Sub(last.failure.At) > newly {
			continue
		}
		t, err := s.reader.Trouble(last.id)
		switch {
		case err != nil:
		case isOut && t.InARow < health.EjectAfter:
			s.ejector.End(key, now)
		case !isOut && int(t.InARow) > last.failure.InARow:
			last.failure.InARow, last.failure.At = int(t.InARow), now
			s.judge(last.failure)
			s.seen[key] = last
		}
	}
	s.forget(v)
}

// forget drops the nodes that the view has not.
func (s *signals) forget(v *state.View) {
	if len(s.seen) == 0 {
		return
	}
	there := make(map[lb.NodeKey]bool, len(s.seen))
	for _, svc := range v.Services {
		for i := range svc.Nodes {
			if key := svc.Nodes[i].Key; svc.Passive && !s.seen[key].failure.At.IsZero() {
				there[key] = true
			}
		}
	}
	for key := range s.seen {
		if !there[key] {
			delete(s.seen, key)
			delete(s.asked, key)
		}
	}
}

// ejected warns of the nodes that are ejected, and of those that are not only because others are.
func ejected(v *state.View, now time.Time) (out []string) {
	for _, svc := range v.Services {
		for i := range svc.Nodes {
			n := &svc.Nodes[i]
			name := lb.NodeName(svc.Config, n.Label)
			switch e := n.Ejection; {
			case e == nil:
			case n.Spared && n.Override == lb.OverrideNone:
				out = append(out, fmt.Sprintf("%s fails connections (%s), but is not ejected: no more than half may be out for that", name, e.Failure))
			case !n.Spared:
				out = append(out, fmt.Sprintf("%s is ejected for %s more: %s", name, max(0, e.Until.Sub(now)).Round(time.Second), e.Failure))
			}
		}
	}
	return bounded(out, "nodes fail connections")
}
