package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/store"
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

// Edit implements api.Control. Waiting is the server's. It looks at the one balancer that it changes, however many
// there are.
func (b *backend) Edit(_ context.Context, e api.Edit) (api.ApplyResult, error) {
	res := api.ApplyResult{DryRun: e.DryRun}
	var draft *store.Draft
	how := func(d *store.Draft) error {
		draft = d
		err := edit(d, e, b.d.pool())
		if err != nil {
			return err
		}
		if was, is := d.Touched(); e.DryRun {
			res.Plan = api.DiffLive(was, is, b.active, b.down())
		} else {
			res.Plan = api.Steps(was, is)
		}
		return nil
	}
	var err error
	if e.DryRun {
		if err = how(store.NewDraft(b.d.store.Get(), time.Now())); err == nil {
			_, err = draft.Finish()
		}
		res.Generations = b.d.progress.now()
	} else {
		res.Generations, err = b.changed(b.d.store.Change(how))
	}
	if faults := (lb.Faults)(nil); errors.As(err, &faults) {
		err = refusals(draft.Balancers(), faults, "")
	}
	if err != nil {
		return api.ApplyResult{}, err
	}
	return res, nil
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
			res.Plan = api.DiffLive(current, next, b.active, b.down())
		}
		return next, err
	}
	var err error
	if dryRun {
		_, err = plan(b.d.store.Get().Balancers)
		res.Generations = b.d.progress.now()
	} else {
		res.Generations, err = b.changed(b.d.store.Update(plan))
	}
	return res, err
}

// active counts the flows that a node has now.
func (b *backend) active(of *lb.Balancer, c *lb.Config, n *lb.Node) uint64 {
	flows := uint64(0)
	if id, ok := b.entry(of, c, n); ok {
		flows, _ = b.reader.Active(id)
	}
	return flows
}

// down knows the nodes that are found DOWN at this moment, whatever people have set.
func (b *backend) down() api.Down {
	down := map[lb.NodeKey]bool{}
	for _, svc := range b.d.engine.published.Load().view.Services {
		for i := range svc.Nodes {
			if n := &svc.Nodes[i]; n.Health == lb.Down {
				down[n.Key] = true
			}
		}
	}
	return func(key lb.NodeKey) bool { return down[key] }
}

// entry gives the number that a node has in the maps, if it is there.
func (b *backend) entry(of *lb.Balancer, c *lb.Config, n *lb.Node) (uint32, bool) {
	vip := of.IPv4
	if n.Address.Addr().Is6() {
		vip = of.IPv6
	}
	return b.d.directory.Find(maps.VIP{Addr: vip, Port: c.Port, Protocol: c.Protocol}, n.Address)
}

// changed gives the generation that a change of the store has made.
func (b *backend) changed(d store.Desired, err error) (api.Generations, error) {
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
