package daemon

import (
	"context"
	"iter"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// The maps and the events know things by their names alone. So that they can be asked for by ids, too, those are
// turned into names here.

// named turns the ids of a config and a node into names.
func (b *backend) named(config, node string) (string, string) {
	declared := lb.Declared(b.d.store.Get().Balancers)
	return lb.NamedConfig(declared, config), lb.NamedNode(declared, node)
}

// labelled gives the name of a node that is called by its address: events know it by its label.
func (b *backend) labelled(node string) string {
	key, name, err := lb.ParseNodeName(node)
	if err != nil {
		return node
	}
	balancer, err := lb.FindBalancer(b.d.store.Get().Balancers, key.Balancer)
	if err != nil {
		return node
	}
	c, err := balancer.FindConfig(key.Port, key.Protocol)
	if err != nil {
		return node
	}
	n, err := c.FindNode(key, name)
	if err != nil {
		return node
	}
	return lb.NodeName(key, n.Label)
}

// Flows implements api.Look.
func (b *backend) Flows(ctx context.Context, q api.FlowQuery) iter.Seq2[api.Flow, error] {
	q.Config, q.Node = b.named(q.Config, q.Node)
	return b.looker.Flows(ctx, q)
}

// CountFlows implements api.Look.
func (b *backend) CountFlows(ctx context.Context, q api.FlowQuery) ([]api.FlowCount, error) {
	q.Config, q.Node = b.named(q.Config, q.Node)
	return b.looker.CountFlows(ctx, q)
}

// Sticks implements api.Sticky.
func (b *backend) Sticks(ctx context.Context, q api.StickQuery) iter.Seq2[api.Stick, error] {
	q.Config, q.Node = b.named(q.Config, q.Node)
	return b.looker.Sticks(ctx, q)
}

// RemoveSticks implements api.Sticky.
func (b *backend) RemoveSticks(ctx context.Context, q api.StickQuery) (api.StickRemoval, error) {
	q.Config, q.Node = b.named(q.Config, q.Node)
	return b.looker.RemoveSticks(ctx, q)
}
