package daemon

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/maps"
)

// looker answers what the maps alone can tell, for a running daemon and for a dead one.
type looker struct {
	reader  *maps.Reader
	counted *stickCounts
}

func newLooker(r *maps.Reader) looker { return looker{r, &stickCounts{}} }

// Flows implements api.Look.
func (l looker) Flows(ctx context.Context, q api.FlowQuery) iter.Seq2[api.Flow, error] {
	return func(yield func(api.Flow, error) bool) {
		filter, names, err := l.filter(q)
		if err != nil {
			yield(api.Flow{}, err)
			return
		}
		n := 0
		for f := range l.flows(filter, q) {
			if n++; n%1024 == 0 && ctx.Err() != nil {
				yield(api.Flow{}, ctx.Err())
				return
			}
			if !yield(flowOf(f, names), nil) || n == q.Limit {
				return
			}
		}
	}
}

// flows reads them in no order, or in the query's.
func (l looker) flows(filter maps.FlowFilter, q api.FlowQuery) iter.Seq[maps.Flow] {
	order := slices.Index(api.FlowSorts, q.Sort)
	if order < 0 {
		return l.reader.Flows(filter)
	}
	return l.reader.FlowsBy(filter, maps.FlowOrders[order], q.Limit)
}

// CountFlows implements api.Look. The query's limit does not count.
func (l looker) CountFlows(_ context.Context, q api.FlowQuery) ([]api.FlowCount, error) {
	filter, names, err := l.filter(q)
	if err != nil {
		return nil, err
	}
	out := []api.FlowCount{}
	for kind, n := range l.reader.CountFlows(filter) {
		out = append(out, api.FlowCount{Node: nodeName(names, kind.NodeID), State: kind.Class.String(), Flows: n})
	}
	slices.SortFunc(out, func(a, b api.FlowCount) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.State, b.State))
	})
	return out, nil
}

// filter turns a query into what the reader understands, and gives the names of all nodes by id.
func (l looker) filter(q api.FlowQuery) (maps.FlowFilter, map[uint32]string, error) {
	states, err := l.reader.Nodes()
	if err != nil {
		return maps.FlowFilter{}, nil, err
	}
	configs := configsOf(states, nil, nil)
	names, filter := map[uint32]string{}, maps.FlowFilter{Client: q.Client.Unmap()}
	var nodes []api.Node
	for _, c := range configs {
		nodes = append(nodes, c.Nodes...)
	}
	for _, n := range nodes {
		names[n.Entry] = n.Name
	}
	want := func(api.Node) bool { return true }
	if q.Config != "" {
		c, err := api.FindConfig(configs, q.Config)
		if err != nil {
			return filter, nil, err
		}
		want = func(n api.Node) bool { return n.Config == c.Name }
	}
	if q.Node != "" {
		node, err := api.FindNode(nodes, q.Node)
		if err != nil {
			return filter, nil, err
		}
		inConfig := want
		want = func(n api.Node) bool { return inConfig(n) && n.Config == node.Config && n.Address == node.Address }
	}
	if q.Config != "" || q.Node != "" {
		filter.Nodes = map[uint32]bool{}
		for _, n := range nodes {
			filter.Nodes[n.Entry] = want(n)
		}
	}
	if q.State != "" {
		i := slices.IndexFunc(maps.FlowClasses, func(c maps.FlowClass) bool { return c.String() == q.State })
		if i < 0 {
			return filter, nil, api.BadRequest("state", "state %q: no such state", q.State)
		}
		filter.Class = maps.FlowClasses[i]
	}
	return filter, names, nil
}

func nodeName(names map[uint32]string, id uint32) string {
	if name, ok := names[id]; ok {
		return name
	}
	return fmt.Sprintf("node %d", id) // came or went while we read
}

func flowOf(f maps.Flow, names map[uint32]string) api.Flow {
	return api.Flow{
		Protocol: string(f.Protocol), Client: f.Client, VIP: f.VIP, Source: f.Source, Node: f.Node,
		NodeName: nodeName(names, f.NodeID), State: f.Class.String(),
		AgeMS: f.Age.Milliseconds(), IdleMS: f.Idle.Milliseconds(),
		PacketsIn: uint64(f.PacketsIn), PacketsOut: uint64(f.PacketsOut), BytesIn: f.BytesIn, BytesOut: f.BytesOut,
	}
}

// Maps implements api.Look.
func (l looker) Maps(context.Context) ([]api.Map, error) {
	infos, err := l.reader.Maps()
	if err != nil {
		return nil, err
	}
	out := make([]api.Map, len(infos))
	for i, m := range infos {
		out[i] = api.Map(m)
	}
	return out, nil
}

// DumpMap implements api.Look.
func (l looker) DumpMap(ctx context.Context, name string) iter.Seq2[api.Entry, error] {
	return func(yield func(api.Entry, error) bool) {
		entries, err := l.reader.Dump(name)
		if err != nil {
			yield(api.Entry{}, api.NotFound("%v", err))
			return
		}
		for e, err := range entries {
			if err == nil {
				err = ctx.Err()
			}
			if !yield(api.Entry(e), err) || err != nil {
				return
			}
		}
	}
}

// refused are the counters of what was refused or dropped, without zeros.
func (l looker) refused() ([]api.Reason, error) {
	counts, err := l.reader.Reasons()
	if err != nil {
		return nil, err
	}
	out := []api.Reason{}
	for _, c := range counts {
		if c.Packets > 0 && (c.Fate == loader.Refused || c.Fate == loader.Dropped) {
			out = append(out, reasonOf(c))
		}
	}
	return out, nil
}

// ends are how flows have ended, of both families together and without zeros.
func (l looker) ends() (closings, removals []api.FlowEnd, err error) {
	families, err := l.reader.FlowEnds()
	if err != nil {
		return nil, nil, err
	}
	closings, removals = []api.FlowEnd{}, []api.FlowEnd{}
	for _, f := range families {
		for _, c := range f.Closed {
			closings = withEnd(closings, api.FlowEnd{Name: c.Why, Flows: c.Flows, Why: closingTexts[c.Why]})
		}
		for _, c := range f.Removed {
			removals = withEnd(removals, api.FlowEnd{Name: c.Why, State: c.Class.String(), Flows: c.Flows, Why: removalTexts[c.Why]})
		}
	}
	none := func(e api.FlowEnd) bool { return e.Flows == 0 }
	return slices.DeleteFunc(closings, none), slices.DeleteFunc(removals, none), nil
}

// withEnd adds a count to one of its kind, or to the others.
func withEnd(sum []api.FlowEnd, e api.FlowEnd) []api.FlowEnd {
	i := slices.IndexFunc(sum, func(s api.FlowEnd) bool { return s.Name == e.Name && s.State == e.State })
	if i < 0 {
		return append(sum, e)
	}
	sum[i].Flows += e.Flows
	return sum
}

func reasonOf(c maps.ReasonCount) api.Reason {
	return api.Reason{Name: c.Name, Packets: c.Packets, Why: why(c.Name)}
}

// countRefused adds to configs what was refused or dropped of their packets, at all of their VIPs together.
func (l looker) countRefused(configs []api.Config) error {
	services, err := l.reader.Refusals()
	if err != nil {
		return err
	}
	at := make(map[string]int, len(configs))
	for i := range configs {
		at[configs[i].Name] = i
	}
	for i := range services {
		if c, known := at[services[i].ConfigKey().String()]; known {
			configs[c].Refused = withReasons(configs[c].Refused, services[i].Reasons)
		}
	}
	return nil
}

// withReasons adds counts to others; all are in the order of the program's reasons.
func withReasons(sum []api.Reason, counts []maps.ReasonCount) []api.Reason {
	for _, c := range counts {
		i := slices.IndexFunc(sum, func(r api.Reason) bool { return r.Name == c.Name })
		if i < 0 {
			sum = append(sum, reasonOf(c))
			continue
		}
		sum[i].Packets += c.Packets
	}
	names := loader.ReasonNames()
	slices.SortFunc(sum, func(a, b api.Reason) int { return slices.Index(names, a.Name) - slices.Index(names, b.Name) })
	return sum
}
