package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/headgate/headgate/loader"
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

// Place implements api.Control.
func (b *backend) Place() api.Place {
	id, err := loader.MapID(b.d.datapath.Maps())
	if err != nil {
		id = 0 // nobody's: they are read over the socket
	}
	return api.Place{BPFFS: b.d.config.BPFFS, MapID: id}
}

// WaitApplied implements api.Control.
func (b *backend) WaitApplied(ctx context.Context, generation uint64) error {
	return b.d.progress.wait(ctx, generation)
}

// Edit implements api.Control. Waiting is the server's.
func (b *backend) Edit(_ context.Context, e api.Edit) (api.ApplyResult, error) {
	return b.change(e.DryRun, func(current []lb.Balancer) ([]lb.Balancer, error) {
		next, err := edit(lb.Clone(current), e)
		if err != nil {
			return nil, err
		}
		return next, refusals(next, lb.Validate(next), "")
	})
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
	res, err := b.change(req.DryRun, func(current []lb.Balancer) ([]lb.Balancer, error) {
		next := merge(current, read.Balancers, req.Prune)
		return next, check(next)
	})
	if err == nil && !req.DryRun {
		b.d.engine.says.alert(slog.LevelInfo, events.Event{Kind: events.File, To: "applied",
			Text: fmt.Sprintf("applied %s, which was handed in: %s", req.Name, counted(&res.Plan))})
	}
	return res, err
}

// change makes another desired state of the current one, which how leaves as it is, and says what that
// changes; or only says it.
func (b *backend) change(dryRun bool, how func(current []lb.Balancer) ([]lb.Balancer, error)) (api.ApplyResult, error) {
	res := api.ApplyResult{DryRun: dryRun}
	plan := func(current []lb.Balancer) ([]lb.Balancer, error) {
		next, err := how(current)
		if err == nil {
			res.Plan = api.Diff(current, next)
		}
		return next, err
	}
	var err error
	if dryRun {
		_, err = plan(b.d.store.Get().Balancers)
		res.Generations = b.d.progress.now()
	} else {
		res.Generations, err = b.update(plan)
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
