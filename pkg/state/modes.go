package state

import (
	"maps"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// modeSet is a node's mode, and when it was set.
type modeSet struct {
	mode  lb.Mode
	since time.Time
}

// followModes notes when the modes of the nodes of a config were set: now, unless a node had its mode
// before, also before a restart.
func (s *State) followModes(config lb.ConfigKey, was, is []lb.Node) {
	modes, now := make(map[lb.NodeKey]modeSet, len(is)), s.now()
	for k := range is {
		n := &is[k]
		key := lb.NodeKey{Config: config, Address: n.Address}
		set := modeSet{n.Mode, now}
		if was, ok := s.lastMode(key); ok && was.mode == n.Mode {
			set = was
		}
		modes[key] = set
	}
	for k := range was {
		delete(s.modes, lb.NodeKey{Config: config, Address: was[k].Address})
	}
	maps.Copy(s.modes, modes)
}

// lastMode is the mode that a node had until now.
func (s *State) lastMode(key lb.NodeKey) (modeSet, bool) {
	if s.started {
		was, ok := s.modes[key]
		return was, ok
	}
	k, ok := s.known[key]
	return modeSet{k.Mode, k.ModeSince}, ok && !k.ModeSince.IsZero()
}

// deadline is when the flows of a node end because of its mode; zero: they need not.
func (s *State) deadline(key lb.NodeKey, c *lb.Config) time.Time {
	set, after := s.modes[key], lb.NoDeadline
	switch set.mode {
	case lb.Drain:
		after = c.DrainDeadline
	case lb.Reject:
		after = c.RejectDeadline
	}
	if after <= 0 {
		return time.Time{}
	}
	return set.since.Add(after)
}
