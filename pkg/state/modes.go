package state

import (
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// modeSet is a node's mode, and when it was set.
type modeSet struct {
	mode  lb.Mode
	since time.Time
}

// followMode notes when the mode of a node of a config was set: now, unless it had its mode before, also before a
// restart.
func (s *State) followMode(config lb.ConfigKey, was, is *lb.Node) {
	if s.started && was != nil && is != nil && was.Mode == is.Mode {
		return
	}
	if is == nil {
		delete(s.modes, lb.NodeKey{Config: config, Address: was.Address})
		return
	}
	key := lb.NodeKey{Config: config, Address: is.Address}
	set := modeSet{is.Mode, s.now()}
	if last, ok := s.lastMode(key); ok && last.mode == is.Mode {
		set = last
	}
	s.modes[key] = set
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
func (set modeSet) deadline(c *lb.Config) time.Time {
	after := lb.NoDeadline
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
