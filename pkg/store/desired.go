package store

import (
	"maps"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// Desired is the declared state at one revision. It is shared by all who asked for it: nobody changes it.
type Desired struct {
	Revision  uint64        // 0: nothing was ever declared; goes up by one with each change
	Balancers []lb.Balancer // in the order of their declaration
	Notes     []Note        // of each balancer, in the same order

	lastID int // the highest that was ever given
}

// Note is what is kept of a balancer beside what it declares: when it was made and changed, and words
// that mean nothing to traffic but that clients of the API want to find again.
type Note struct {
	Type    string             // plan; empty: the default
	Created time.Time          // UTC, to the second
	Updated time.Time          // of the last change of the balancer, its configs or nodes
	Configs map[int]ConfigNote // by id; those that are all defaults are left out
}

// ConfigNote is what is kept of a config beside what it declares.
type ConfigNote struct {
	HTTP        bool   // declared with the protocol http, which is forwarded as TCP
	CipherSuite string // empty: the default
}

// Find returns the place of the balancer with that id.
func (d *Desired) Find(id int) (place int, ok bool) {
	place = slices.IndexFunc(d.Balancers, func(b lb.Balancer) bool { return b.ID == id })
	return place, place >= 0
}

// equal says whether a note keeps the same, whenever that was.
func (n Note) equal(o Note) bool {
	return n.Type == o.Type && maps.Equal(n.Configs, o.Configs)
}

// clone copies a note so deep that nothing is shared.
func (n Note) clone() Note {
	n.Configs = maps.Clone(n.Configs)
	return n
}

// SetConfig keeps a note of a config.
func (n *Note) SetConfig(id int, c ConfigNote) {
	if c == (ConfigNote{}) {
		delete(n.Configs, id)
		return
	}
	if n.Configs == nil {
		n.Configs = map[int]ConfigNote{}
	}
	n.Configs[id] = c
}
