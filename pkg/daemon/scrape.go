package daemon

import (
	"context"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/metrics"
	"github.com/headgate/headgate/pkg/state"
)

// listenForScrapes takes the address of the metrics, if there is to be one.
func (d *daemon) listenForScrapes(context.Context) (err error) {
	if d.config.Metrics.Listen == "" {
		return nil
	}
	if d.scrapes, err = metrics.Listen(d.config.Metrics.Listen); err != nil {
		return err
	}
	d.closeLater(func() error {
		_ = d.scrapes.Close() // the server closed it already, if it ran
		return nil
	})
	return nil
}

// serveMetrics answers scrapes, if there is an address for them.
func (d *daemon) serveMetrics() error {
	if d.scrapes == nil {
		return nil
	}
	tag, err := d.datapath.Tag()
	if err != nil {
		return err
	}
	handler := metrics.Handler(metrics.Sources{
		Maps:   d.reader,
		Checks: d.checks,
		Rounds: d.engine.rounds,

		Ejections: d.engine.signals.ejector.Total,
		Build:     metrics.Build{Version: d.Version, Tag: tag, Schema: loader.Schema},
		View:      func() *state.View { return d.engine.published.Load().view },
		Generations: func() (desired, applied uint64) {
			g := d.progress.now()
			return g.Desired, g.Applied
		},
		Interfaces: func() []metrics.Interface {
			var out []metrics.Interface
			for _, i := range d.engine.published.Load().interfaces {
				out = append(out, metrics.Interface{Name: i.Name, Mode: i.Mode})
			}
			return out
		},
	}, d.Log)
	d.group.run("metrics", func(ctx context.Context) error { return metrics.Serve(ctx, d.scrapes, handler, d.Log) })
	return nil
}
