package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
)

// backend answers the API for a running daemon. It reads the engine's snapshot and the maps, and
// changes only the store; the engine follows that.
type backend struct {
	looker
	d *daemon
}

// Generations implements api.Control.
func (b *backend) Generations() api.Generations { return b.d.progress.now() }

// WaitApplied implements api.Control.
func (b *backend) WaitApplied(ctx context.Context, generation uint64) error {
	return b.d.progress.wait(ctx, generation)
}

// SetNode implements api.Control.
func (b *backend) SetNode(_ context.Context, name string, change api.NodeChange) (api.Generations, error) {
	return b.update(func(next []lb.Balancer) ([]lb.Balancer, error) {
		key, label, err := lb.ParseNodeName(name)
		if err != nil {
			return nil, api.BadRequest("node", "%v", err)
		}
		node, err := lb.FindNode(next, key, label)
		if err != nil {
			return nil, api.NotFound("%v", err)
		}
		return next, set(node, name, change)
	})
}

// set changes a node, or says what is wrong with each of the values.
func set(node *lb.Node, name string, change api.NodeChange) error {
	refusal := &api.Error{Status: 400}
	if m := change.Mode; m != nil {
		if reason := lb.WordReason(lb.Mode(*m), lb.Modes); reason != "" {
			refusal.Reasons = append(refusal.Reasons, api.Refusal{Field: "mode", Reason: name + ": mode " + reason})
		}
		node.Mode = lb.Mode(*m)
	}
	if w := change.Weight; w != nil {
		if reason := lb.WeightLimit.Reason(int64(*w)); reason != "" {
			refusal.Reasons = append(refusal.Reasons, api.Refusal{Field: "weight", Reason: name + ": weight " + reason})
		}
		node.Weight = *w
	}
	if o := change.Override; o != nil {
		if reason := lb.WordReason(lb.Override(*o), lb.Overrides); reason != "" {
			refusal.Reasons = append(refusal.Reasons, api.Refusal{Field: "override", Reason: name + ": override " + reason})
		}
		node.Override = lb.Override(*o)
	}
	if len(refusal.Reasons) > 0 {
		return refusal
	}
	return nil
}

// Apply implements api.Control. Waiting is the server's.
func (b *backend) Apply(_ context.Context, req api.ApplyRequest) (api.ApplyResult, error) {
	read, err := config.Parse(req.Name, req.Data)
	if err != nil {
		refusal := &api.Error{Status: 400}
		for _, f := range faultsOf(err) {
			refusal.Reasons = append(refusal.Reasons, api.Refusal{Reason: f})
		}
		return api.ApplyResult{}, refusal
	}
	res := api.ApplyResult{DryRun: req.DryRun}
	plan := func(current []lb.Balancer) ([]lb.Balancer, error) {
		next := merge(current, read.Balancers, req.Prune)
		res.Plan = api.Diff(current, next)
		return next, check(next)
	}
	if req.DryRun {
		_, err = plan(b.d.store.Get().Balancers)
		res.Generations = b.d.progress.now()
		return res, err
	}
	if res.Generations, err = b.update(plan); err == nil {
		b.d.engine.says.alert(slog.LevelInfo, events.Event{Kind: events.File, To: "applied",
			Text: fmt.Sprintf("applied %s, which was handed in: %s", req.Name, counted(&res.Plan))})
	}
	return res, err
}

// update changes the store and gives the generation that it made.
func (b *backend) update(change func([]lb.Balancer) ([]lb.Balancer, error)) (api.Generations, error) {
	d, err := b.d.store.Update(change)
	if err != nil {
		return api.Generations{}, err
	}
	b.d.progress.desired(d.Revision)
	return api.Generations{Desired: d.Revision, Applied: b.d.progress.now().Applied}, nil
}

// Export implements api.Control.
func (b *backend) Export(context.Context) ([]byte, error) {
	return config.Export(b.d.store.Get().Balancers)
}
