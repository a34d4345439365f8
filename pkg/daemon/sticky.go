package daemon

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// Sticks implements api.Sticky.
func (l looker) Sticks(ctx context.Context, q api.StickQuery) iter.Seq2[api.Stick, error] {
	return func(yield func(api.Stick, error) bool) {
		filter, nodes, err := l.stickFilter(q)
		if err != nil {
			yield(api.Stick{}, err)
			return
		}
		n := 0
		for s, err := range l.reader.Sticks(filter) {
			if err == nil {
				err = ctx.Err()
			}
			n++
			if !yield(stickOf(s, nodes), err) || err != nil || n == q.Limit {
				return
			}
		}
	}
}

// RemoveSticks implements api.Sticky.
func (l looker) RemoveSticks(_ context.Context, q api.StickQuery) (api.StickRemoval, error) {
	if !q.Selects() && !q.All {
		return api.StickRemoval{}, api.BadRequest("", "no config, node or client is named: name one, or say all")
	}
	filter, _, err := l.stickFilter(q)
	if err != nil {
		return api.StickRemoval{}, err
	}
	n, err := l.reader.RemoveSticks(filter)
	if err == nil {
		l.counted.forget()
	}
	return api.StickRemoval{Removed: n}, err
}

// stickFilter turns a query into what the reader understands, and gives all nodes by id.
func (l looker) stickFilter(q api.StickQuery) (maps.StickFilter, map[uint32]maps.NodeState, error) {
	flows, _, err := l.filter(api.FlowQuery{Config: q.Config, Node: q.Node, Client: q.Client})
	if err != nil {
		return maps.StickFilter{}, nil, err
	}
	states, err := l.reader.Nodes()
	if err != nil {
		return maps.StickFilter{}, nil, err
	}
	nodes := make(map[uint32]maps.NodeState, len(states))
	for _, s := range states {
		nodes[s.ID] = s
	}
	return maps.StickFilter{Client: flows.Client, Nodes: flows.Nodes}, nodes, nil
}

func stickOf(s maps.Stick, nodes map[uint32]maps.NodeState) api.Stick {
	n := nodes[s.NodeID]
	config := n.ConfigKey()
	return api.Stick{
		Config: config.String(), Client: s.Client, Node: lb.NodeName(config, n.Label), Address: n.Address,
		Holds: s.Holds, AgeMS: s.Age.Milliseconds(), LeftMS: s.Left.Milliseconds(),
	}
}

// countFor is how long a count of stick entries is good: it takes a walk through all of them.
const countFor = time.Second

// stickCounts are the stick entries by node id, as they were at most countFor ago.
type stickCounts struct {
	mu sync.Mutex
	at time.Time
	by map[uint32]uint64
}

func (c *stickCounts) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
}

// get counts again unless the last count is good. Nobody may change what it gives.
func (c *stickCounts) get(r *maps.Reader) (map[uint32]uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.at) >= countFor {
		by, err := r.CountSticks()
		if err != nil {
			return nil, err
		}
		c.at, c.by = now, by
	}
	return c.by, nil
}

// of gives a node's; 0 when they cannot be read.
func (c *stickCounts) of(node uint32, r *maps.Reader) uint64 {
	by, _ := c.get(r)
	return by[node]
}

// countSticks fills in how many clients stick to each node.
func (l looker) countSticks(configs []api.Config) error {
	by, err := l.counted.get(l.reader)
	for i := range configs {
		for j := range configs[i].Nodes {
			n := &configs[i].Nodes[j]
			n.StickEntries = by[n.Entry]
		}
	}
	return err
}
