package state

import (
	"maps"
	"time"

	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/schedule"
)

// isWatched says whether traffic alone judges a node: nobody checks it, and what clients meet counts.
func isWatched(c *lb.Config, n *lb.Node) bool {
	return n.Mode != lb.Reject && c.Check.Type == lb.CheckNone && c.IsPassive()
}

// SetEjections replaces the ejections of nodes that nobody checks. Each ends by itself at its time. The map must not
// be changed afterwards.
func (s *State) SetEjections(all map[lb.NodeKey]health.Ejection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if maps.Equal(all, s.ejections) {
		return
	}
	for _, list := range []map[lb.NodeKey]health.Ejection{s.ejections, all} {
		for key := range list {
			s.spoil(key.Config)
		}
	}
	s.ejections = all
	s.bump()
}

// ejection is that of a node at the time of the generation. One from before the node's mode was set, or the node
// was there, says nothing about it.
func (s *State) ejection(key lb.NodeKey, c *lb.Config, n *lb.Node, modeSince time.Time) *health.Ejection {
	if len(s.ejections) == 0 {
		return nil
	}
	e, there := s.ejections[key]
	if !there || !isWatched(c, n) || !s.at.Before(e.Until) || e.Since.Before(modeSince) {
		return nil
	}
	out := e
	return &out
}

// eject takes those nodes of a service for DOWN that are ejected, as far as they may be, and has the View change
// when that ends.
func (s *State) eject(next *memory, nodes []Node) {
	var suspects []schedule.Suspect
	for i := range nodes {
		n := &nodes[i]
		if n.Ejection == nil {
			continue
		}
		if suspects == nil {
			suspects = suspectsOf(nodes)
		}
		next.wakeAt(n.Ejection.Until)
	}
	for i, out := range schedule.Ejected(suspects) {
		n := &nodes[i]
		switch {
		case n.Ejection == nil:
		case out:
			n.Health, n.Reason = lb.Down, n.Ejection.Reason()
		default:
			n.Spared = true
		}
		n.judge()
	}
}

func suspectsOf(nodes []Node) []schedule.Suspect {
	out := make([]schedule.Suspect, len(nodes))
	for i := range nodes {
		since := time.Time{}
		if nodes[i].Ejection != nil {
			since = nodes[i].Ejection.Since
		}
		out[i] = schedule.Suspect{Mode: nodes[i].Mode, Override: nodes[i].Override, Since: since}
	}
	return out
}
