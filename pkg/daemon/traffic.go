package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/usage"
)

// saveInterval is how often the traffic that was added up goes to the disk. What a crash takes is counted again
// from the kernel's counters, which it leaves alone.
const saveInterval = time.Minute

// traffic adds up what goes through the balancers, and keeps that.
type traffic struct {
	meter *usage.Meter
	disk  interface{ Save(usage.Unsaved) error }
	log   *slog.Logger

	failed bool // the last save; logged only when it changes
}

// take takes the counters of all nodes. Those of nodes whose balancer is gone are nobody's.
func (t *traffic) take(now time.Time, nodes []maps.NodeState, balancers []lb.Balancer) {
	byVIP, ids := make(map[netip.Addr]int, 2*len(balancers)), make([]int, len(balancers))
	for i := range balancers {
		ids[i] = balancers[i].ID
		for _, vip := range balancers[i].VIPs() {
			byVIP[vip] = balancers[i].ID
		}
	}
	readings := make([]usage.Reading, len(nodes))
	for i, n := range nodes {
		readings[i] = usage.Reading{
			Node: n.ID, Owner: n.VIP.String() + " " + n.Address.String(), Balancer: byVIP[n.VIP.Addr],
			Count: usage.Count{Flows: n.Traffic.Flows, In: n.Traffic.BytesIn, Out: n.Traffic.BytesOut},
		}
	}
	t.meter.Take(now, readings, ids)
}

// run saves until the context ends, and then once more. It begins early: from what was saved first a daemon that
// takes over knows what is new.
func (t *traffic) run(ctx context.Context) error {
	next := time.NewTimer(2 * sampleInterval)
	defer next.Stop()
	for {
		t.save(ctx)
		select {
		case <-ctx.Done():
			t.save(ctx)
			return nil
		case <-next.C:
			next.Reset(saveInterval)
		}
	}
}

func (t *traffic) save(ctx context.Context) {
	err := t.disk.Save(t.meter.Unsaved())
	if failed := err != nil; failed != t.failed {
		t.failed = failed
		t.log.Log(ctx, level(failed), "keep the traffic of balancers on the disk", "err", err)
	}
}
