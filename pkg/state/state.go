package state

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/netdev"
)

// State holds the latest of each input and makes Views of them. Its methods may be called
// concurrently; none of them waits for anything but another of them.
type State struct {
	now     func() time.Time
	changed chan struct{}

	mu         sync.Mutex
	generation uint64
	revision   uint64
	balancers  []lb.Balancer
	started    bool // SetDesired was called
	known      map[lb.NodeKey]Known
	since      map[lb.NodeKey]time.Time // results from before do not count
	modes      map[lb.NodeKey]modeSet
	targeted   uint64 // counts the changes of what is to be checked
	addresses  addresses
	health     health.Results
	checks     map[lb.ConfigKey]*lb.Check // as they are made; nil: to be found anew
	ejections  map[lb.NodeKey]health.Ejection
	hops       netdev.Hops
	announced  []Announcement
	hopped     uint64                  // counts the changes of hops
	at         time.Time               // of the generation: a View is as it was then, whenever it is made
	pieces     map[lb.ConfigKey]*piece // of the configs
	order      []place                 // of the pieces in the View; nil: to be found anew
	built      uint64                  // services so far
	numbered   int                     // pieces so far
	wake       time.Time               // when the View changes by itself; zero: it does not
	served     map[lb.NodeKey]bool     // what RememberServing took, until the first View with a desired state
	view       *View                   // nil: to be put together anew
}

// Known is what the maps still knew of a node from before a restart.
type Known struct {
	Health    lb.Health
	At        time.Time // of the last check's result; zero: none
	Mode      lb.Mode
	ModeSince time.Time // when it was set; zero: not known
}

// New makes a State without balancers. now is the clock; nil is time.Now.
func New(now func() time.Time) *State {
	if now == nil {
		now = time.Now
	}
	return &State{
		now: now, changed: make(chan struct{}, 1), since: map[lb.NodeKey]time.Time{}, modes: map[lb.NodeKey]modeSet{},
		pieces: map[lb.ConfigKey]*piece{}, addresses: newAddresses(),
	}
}

// Remember takes what was known before a restart. It counts only when it is called before the
// first SetDesired; health only until checks have results of their own, the time of a mode only if
// that is still the desired one.
func (s *State) Remember(known map[lb.NodeKey]Known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.known = maps.Clone(known)
	}
}

// SetDesired replaces the desired state and returns the generation that contains it. The slice must not be
// changed afterwards. What shares its memory with the state before is taken to be the same.
func (s *State) SetDesired(revision uint64, balancers []lb.Balancer) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	changes := changesOf(s.balancers, balancers)
	if s.started && revision == s.revision && len(changes) == 0 && sameOrder(s.balancers, balancers) {
		return s.generation
	}
	for _, c := range changes {
		s.follow(c)
		if c.is == nil {
			delete(s.pieces, c.key)
		}
		s.spoil(c.key)
		s.checks = nil
	}
	if !sameConfigs(s.balancers, balancers) {
		s.order = nil
	}
	s.started, s.revision, s.balancers = true, revision, balancers
	s.bump()
	return s.generation
}

// SetHealth replaces what the checks found.
func (s *State) SetHealth(results health.Results) {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := false
	for key, c := range s.recheckedSince(results) {
		was, is := s.found(s.health, key, c), s.found(results, key, c)
		if was.Health == is.Health && was.Reason == is.Reason {
			continue
		}
		news = news || was.Health != is.Health
		s.spoil(key.Config)
		s.view = nil
	}
	s.health = results
	if news {
		s.bump()
	}
}

// Touch makes the next View say when each check was made last, and what has become of what was known before
// a restart. Nothing else takes notice of the time. With thousands of configs one part of so many at a time costs
// less at once: 0 of 1 is all of them.
func (s *State) Touch(part, parts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pieces {
		if p.checked && p.number%parts == part {
			p.good = false
			s.view = nil
		}
	}
}

// SetHops replaces the known next hops.
func (s *State) SetHops(hops netdev.Hops) {
	s.mu.Lock()
	defer s.mu.Unlock()
	moved := hops.Moved(s.hops)
	if len(moved) == 0 {
		return
	}
	for i := range s.balancers {
		b := &s.balancers[i]
		for j := range b.Configs {
			c := &b.Configs[j]
			if slices.ContainsFunc(c.Nodes, func(n lb.Node) bool { return moved[n.Address.Addr()] }) {
				s.spoil(c.Key(b.Label))
			}
		}
	}
	s.hops = hops
	s.hopped++
	s.bump()
}

// SetAnnounced replaces what is announced. The slice must not be changed afterwards.
func (s *State) SetAnnounced(all []Announcement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(all, s.announced) {
		return
	}
	s.announced = all
	s.bump()
}

// Changed gets a value after everything that makes a new generation; several make one.
func (s *State) Changed() <-chan struct{} { return s.changed }

// Generation returns the latest generation.
func (s *State) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// View returns the latest View.
func (s *State) View() *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest()
}

func (s *State) latest() *View {
	if s.view == nil {
		s.view = s.build()
	}
	return s.view
}

// bump starts a new generation and tells so.
func (s *State) bump() {
	s.generation++
	s.at = s.now()
	s.view = nil
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
