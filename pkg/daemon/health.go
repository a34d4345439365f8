package daemon

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/health"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/state"
)

// recentMost is how many results are told of each node of a list.
const recentMost = 20

// Health implements api.Checked.
func (b *backend) Health(ctx context.Context, q api.HealthQuery) ([]api.NodeHealth, error) {
	st, err := b.Status(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := selected(&st, q)
	if err != nil {
		return nil, err
	}
	checks, judged := checksOf(b.d.store.Get().Balancers), b.judged()
	out := []api.NodeHealth{}
	for _, n := range nodes {
		if n.Lifecycle != api.Present {
			continue // nobody checks it
		}
		key, err := keyOf(n)
		if err != nil {
			return nil, err
		}
		h := b.examine(n, key, checks[key.Config], q.Node != "")
		if h.Passive, err = b.passive(n, judged[key]); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

func checkStats(s health.Stats) *api.CheckStats {
	return &api.CheckStats{
		Nodes: s.Targets, Probes: s.Probes, InFlight: s.InFlight, LagP99MS: *milliseconds(s.LagP99), LagMS: *milliseconds(s.MaxLag),
	}
}

func selected(st *api.Status, q api.HealthQuery) ([]api.Node, error) {
	switch {
	case q.Node != "":
		n, err := st.Node(q.Node)
		if err != nil && lb.BeginsWithID(q.Node) { // it does not say of what
			if c, err := st.Config(q.Node); err == nil {
				return c.Nodes, nil
			}
		}
		return []api.Node{n}, err
	case q.Config != "":
		c, err := st.Config(q.Config)
		return c.Nodes, err
	}
	return st.Nodes(), nil
}

// checksOf are the checks of all configs.
func checksOf(balancers []lb.Balancer) map[lb.ConfigKey]lb.Check {
	checks := map[lb.ConfigKey]lb.Check{}
	for i := range balancers {
		for j := range balancers[i].Configs {
			c := &balancers[i].Configs[j]
			checks[c.Key(balancers[i].Label)] = c.Check
		}
	}
	return checks
}

func keyOf(n api.Node) (lb.NodeKey, error) {
	config, err := lb.ParseConfigKey(n.Config)
	if err != nil {
		return lb.NodeKey{}, err
	}
	address, err := netip.ParseAddrPort(n.Address)
	return lb.NodeKey{Config: config, Address: address}, err
}

// examine adds to a node what its checks found.
func (b *backend) examine(n api.Node, key lb.NodeKey, c lb.Check, whole bool) api.NodeHealth {
	out := api.NodeHealth{Node: n, Check: string(c.Type), IntervalMS: c.Interval.Milliseconds()}
	r, checked := b.d.checks.Result(key)
	if !checked {
		return out
	}
	out.Since, out.Streak = moment(r.Since), r.Streak
	if !r.At.IsZero() {
		out.CheckedAt, out.DurationMS = moment(r.At), milliseconds(r.Duration)
	}
	attempts := b.d.checks.History(key)
	out.Recent = recent(attempts)
	if whole {
		for _, a := range attempts {
			out.History = append(out.History, api.CheckResult{
				At: a.At.UTC(), DurationMS: *milliseconds(a.Duration), OK: a.Reason == "", Reason: a.Reason,
			})
		}
	}
	return out
}

// judged are the nodes that are judged by their traffic, too, as the data path has them.
func (b *backend) judged() map[lb.NodeKey]*state.Node {
	nodes := map[lb.NodeKey]*state.Node{}
	for _, svc := range b.d.engine.published.Load().view.Services {
		for i := range svc.Nodes {
			if svc.Passive {
				nodes[svc.Nodes[i].Key] = &svc.Nodes[i]
			}
		}
	}
	return nodes
}

// passive is what the data path saw of a node; nil: it does not look.
func (b *backend) passive(n api.Node, judged *state.Node) (*api.Passive, error) {
	if judged == nil || n.Entry == 0 {
		return nil, nil
	}
	failed, err := b.reader.Failures(n.Entry)
	if err != nil {
		return nil, err
	}
	trouble, err := b.reader.Trouble(n.Entry)
	if err != nil {
		return nil, err
	}
	out := &api.Passive{
		Refused: failed[maps.Refused], Unanswered: failed[maps.Unanswered], Unreachable: failed[maps.Unreachable], InARow: trouble.InARow,
	}
	if last, seen := b.d.engine.signals.last(judged.Key); seen {
		out.LastAt, out.Last = moment(last.At), last.How
	}
	switch e := judged.Ejection; {
	case e == nil || judged.Override != lb.OverrideNone:
	case judged.Spared:
		out.Spared = true
	default:
		out.Ejected = &api.Ejected{Since: e.Since.UTC(), Until: e.Until.UTC(), Times: e.Times}
	}
	return out, nil
}

func milliseconds(d time.Duration) *float64 {
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

func recent(attempts []health.Attempt) string {
	var s strings.Builder
	for _, a := range attempts[max(0, len(attempts)-recentMost):] {
		if a.Reason == "" {
			s.WriteByte('+')
		} else {
			s.WriteByte('-')
		}
	}
	return s.String()
}
