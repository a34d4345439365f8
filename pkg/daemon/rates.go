package daemon

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/headgate/headgate/pkg/maps"
)

// sampleInterval is how often a running daemon remembers the counters of all nodes: often enough
// for rates that follow traffic, seldom enough that reading 10,000 nodes costs next to nothing.
const sampleInterval = 5 * time.Second

// counters of a node at a moment.
type counters struct {
	id    uint32
	owner maps.VIP // together with the address tells that an id has a new owner
	node  netip.AddrPort
	flows uint64
	bytes uint64
}

// sample is the counters of all nodes at a moment.
type sample struct {
	at    time.Time
	nodes []counters // by id
}

// take makes a sample of what the maps say, by id.
func take(at time.Time, nodes []maps.NodeState) *sample {
	s := &sample{at: at, nodes: make([]counters, len(nodes))}
	for i := range nodes {
		s.nodes[i] = countersOf(&nodes[i])
	}
	return s
}

func (s *sample) of(id uint32) (counters, bool) {
	i, known := slices.BinarySearchFunc(s.nodes, id, func(c counters, id uint32) int { return cmp.Compare(c.id, id) })
	if !known {
		return counters{}, false
	}
	return s.nodes[i], true
}

func countersOf(n *maps.NodeState) counters {
	return counters{
		id: n.ID, owner: n.VIP, node: n.Address,
		flows: n.Traffic.Flows, bytes: n.Traffic.BytesIn + n.Traffic.BytesOut,
	}
}

// rates are averages since an earlier sample. Safe for concurrent use.
type rates struct {
	mu        sync.Mutex
	old, last *sample // old is one interval to two old, and what rates are counted from
}

// add remembers a sample.
func (r *rates) add(s *sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.old, r.last = r.last, s
}

// since gives new flows and bytes a second of a node, nil when they are not known.
func (r *rates) since(now time.Time, n maps.NodeState) (flows, bytes *float64) {
	r.mu.Lock()
	base := r.old
	if base == nil {
		base = r.last
	}
	r.mu.Unlock()
	if base == nil {
		return nil, nil
	}
	seconds := now.Sub(base.at).Seconds()
	before, ok := base.of(n.ID)
	c := countersOf(&n)
	if !ok || before.owner != c.owner || before.node != c.node || c.flows < before.flows || c.bytes < before.bytes || seconds <= 0 {
		return nil, nil
	}
	f, b := float64(c.flows-before.flows)/seconds, float64(c.bytes-before.bytes)/seconds
	return &f, &b
}
