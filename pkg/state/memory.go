package state

import (
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/schedule"
)

// memory is what the Views of a config depend on beside the inputs of their moment: who has recovered, and whose turn it is. It
// changes with time alone, too, at wake.
type memory struct {
	down      map[lb.NodeKey]bool      // nodes that were DOWN and have not been good since
	recovered map[lb.NodeKey]time.Time // nodes that start slowly, by when they were good again
	turns     map[turnKey]schedule.Turn
	wake      time.Time // zero: nothing changes by itself
}

// turnKey is a service: the nodes of each family take turns on their own.
type turnKey struct {
	config lb.ConfigKey
	is4    bool
}

func newMemory() memory {
	return memory{down: map[lb.NodeKey]bool{}, recovered: map[lb.NodeKey]time.Time{}, turns: map[turnKey]schedule.Turn{}}
}

// wakeAt makes the View change by itself at that time, if not before.
func (m *memory) wakeAt(t time.Time) {
	if m.wake.IsZero() || t.Before(m.wake) {
		m.wake = t
	}
}

// ramp says how many percent of its weight a node has that has recovered; 0: it did not, or long ago. A node that
// is only new has recovered from nothing, and what was good before a restart starts with all of its weight.
func (s *State) ramp(was, next *memory, n *Node, c *lb.Config) int {
	good := n.Effective == lb.Up || n.Effective == lb.Unknown && c.Check.Type == lb.CheckNone
	if n.Shown == lb.Down || !good && was.down[n.Key] {
		next.down[n.Key] = true
		return 0
	}
	since := was.recovered[n.Key]
	if was.down[n.Key] {
		since = s.at
	}
	if since.IsZero() {
		return 0
	}
	percent, change := schedule.Ramp(s.at.Sub(since), c.SlowStart)
	if change > 0 {
		next.recovered[n.Key] = since
		next.wakeAt(s.at.Add(change))
	}
	return percent
}

// turn is whose it was in a service.
func (s *State) turn(was *memory, svc *Service) schedule.Turn {
	if turn, known := was.turns[svc.turnKey()]; known {
		return turn
	}
	for i := range svc.Nodes {
		if n := &svc.Nodes[i]; n.Mode == lb.Backup && s.served[n.Key] {
			return schedule.Turn{Backups: true}
		}
	}
	return schedule.Turn{}
}

// remember keeps whose turn it is now.
func (m *memory) remember(svc *Service, turn schedule.Turn, delay time.Duration) {
	m.turns[svc.turnKey()] = turn
	if ends := turn.Ends(delay); !ends.IsZero() {
		m.wakeAt(ends)
	}
}

func (svc *Service) turnKey() turnKey { return turnKey{svc.Config, svc.VIP.Is4()} }

// RememberServing takes which nodes took new flows before a restart: so backups whose turn it was keep it until
// the primaries have been enough for long enough. It counts only when it is called before the first SetDesired.
func (s *State) RememberServing(nodes map[lb.NodeKey]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.served = nodes
	}
}

// Wake is when the latest View, as View returned it, changes by itself: a node that starts slowly gets more of its
// weight, or the backups' turn ends. Zero: it does not.
func (s *State) Wake() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wake
}

// Advance starts a new generation if time alone has changed the View.
func (s *State) Advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wake := s.wake; !wake.IsZero() && !s.now().Before(wake) {
		s.bump()
	}
}
