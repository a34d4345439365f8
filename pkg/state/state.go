package state

import (
	"maps"
	"net/netip"
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
	health     map[lb.NodeKey]health.Result
	hops       map[netip.Addr]netdev.NextHop
	announced  []Announcement
	at         time.Time           // of the generation: a View is as it was then, whenever it is made
	memory     memory              // of the Views before
	served     map[lb.NodeKey]bool // what RememberServing took, until the first View with a desired state
	view       *View               // nil: to be made anew
	touched    bool                // the view is good but for what checks said in passing
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
	return &State{now: now, changed: make(chan struct{}, 1), since: map[lb.NodeKey]time.Time{}, memory: newMemory()}
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

// SetDesired replaces the desired state and returns the generation that contains it. The slice
// must not be changed afterwards.
func (s *State) SetDesired(revision uint64, balancers []lb.Balancer) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started && revision == s.revision && lb.Equal(balancers, s.balancers) {
		return s.generation
	}
	s.forget(balancers)
	s.followModes(balancers)
	s.started, s.revision, s.balancers = true, revision, balancers
	s.bump()
	return s.generation
}

// SetHealth replaces what the checks found. The map must not be changed afterwards.
func (s *State) SetHealth(results map[lb.NodeKey]health.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := true
	for key, c := range checked(s.balancers) {
		if s.found(s.health, key, c).Health != s.found(results, key, c).Health {
			same = false
			break
		}
	}
	s.health = results
	if same {
		s.touched = true
		return
	}
	s.bump()
}

// SetHops replaces the known next hops. The map must not be changed afterwards.
func (s *State) SetHops(hops map[netip.Addr]netdev.NextHop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if maps.Equal(hops, s.hops) {
		return
	}
	s.hops = hops
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
	if s.view == nil || s.touched {
		s.view, s.touched = s.build(), false
	}
	return s.view
}

// bump starts a new generation and tells so.
func (s *State) bump() {
	s.generation++
	s.at = s.now()
	s.view, s.touched = nil, false
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
