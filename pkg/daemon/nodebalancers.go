package daemon

import (
	"github.com/headgate/headgate/pkg/api/v4"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// nodebalancers answers version 4 of the API for a running daemon.
type nodebalancers struct{ *backend }

// Get implements v4.Backend.
func (n *nodebalancers) Get() store.Desired { return n.d.store.Get() }

// Change implements v4.Backend.
func (n *nodebalancers) Change(fn func(*store.Draft) error) (store.Desired, error) {
	d, err := n.d.store.Change(fn)
	if err == nil {
		n.d.progress.desired(d.Revision)
	}
	return d, err
}

// Health implements v4.Backend.
func (n *nodebalancers) Health(balancer string, c *lb.Config, node *lb.Node) lb.Health {
	return n.d.engine.state.Health(balancer, c, node)
}

// Counts implements v4.Backend.
func (n *nodebalancers) Counts(b *lb.Balancer, c *lb.Config, node *lb.Node) (flows, stickEntries uint64) {
	id, ok := n.entry(b, c, node)
	if !ok {
		return 0, 0
	}
	flows, err := n.reader.Active(id)
	if err != nil {
		flows = 0
	}
	if c.Stickiness.ByEntries() {
		stickEntries = n.counted.of(id, n.reader)
	}
	return flows, stickEntries
}

// Transfer implements v4.Backend.
func (n *nodebalancers) Transfer(balancer int) (in, out uint64) {
	return n.d.traffic.meter.Transfer(balancer)
}

// Stats implements v4.Backend. Version 4 counts traffic in bits.
func (n *nodebalancers) Stats(balancer int) []v4.Sample {
	var out []v4.Sample
	for _, p := range n.d.traffic.meter.Points(balancer) {
		out = append(out, v4.Sample{At: p.End, Connections: p.Flows, In: 8 * p.In, Out: 8 * p.Out})
	}
	return out
}
