package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// Capture implements api.Captures. A goroutine of its own owns the capture: whoever asked may go away at any
// moment, and the plain program must come back.
func (b *backend) Capture(ctx context.Context, q api.CaptureQuery) (iter.Seq2[api.Captured, error], error) {
	options, err := b.captureOptions(q)
	if err != nil {
		return nil, err
	}
	capture, err := b.d.datapath.Capture(options)
	if errors.Is(err, loader.ErrCapturing) || errors.Is(err, loader.ErrUpgrading) {
		return nil, api.Conflict("%v", err)
	}
	if err != nil {
		return nil, err
	}
	b.d.says.alert(slog.LevelInfo, events.Event{Kind: events.Daemon, To: "capturing", Text: "a capture begins: " + asked(q)})
	ctx, cancel := context.WithCancel(ctx)
	c := &capturing{looker: b.looker, capture: capture, interfaces: b.d.engine.published.Load().interfaces, out: make(chan captured)}
	go func() {
		defer close(c.out)
		c.run(ctx, func() error { return b.d.engine.unended.end(capture, b.d.says) })
		b.d.says.alert(slog.LevelInfo, events.Event{Kind: events.Daemon, To: "not capturing", Text: fmt.Sprintf("the capture ends after %d packets", c.packets)})
	}()
	return func(yield func(api.Captured, error) bool) {
		defer func() {
			cancel()
			for range c.out { // until the plain program is back
			}
		}()
		for p := range c.out {
			if !yield(p.packet, p.err) || p.err != nil {
				return
			}
		}
	}, nil
}

// asked says what a capture was asked for, for the log.
func asked(q api.CaptureQuery) string {
	var words []string
	for _, w := range []string{q.Config, q.Node, strings.Join(q.Reasons, ",")} {
		if w != "" {
			words = append(words, w)
		}
	}
	if q.Client.IsValid() {
		words = append(words, "client "+q.Client.String())
	}
	if len(words) == 0 {
		return "all packets"
	}
	return strings.Join(words, ", ")
}

// captureOptions turns a query into what the data path understands.
func (b *backend) captureOptions(q api.CaptureQuery) (o loader.CaptureOptions, err error) {
	or := func(n, otherwise int) uint32 {
		if n == 0 {
			n = otherwise
		}
		return uint32(n)
	}
	q.Config, q.Node = b.named(q.Config, q.Node)
	o = loader.CaptureOptions{Client: q.Client, Snap: or(q.Snap, api.CaptureSnap), Sample: or(q.Sample, 1), Rate: or(q.Rate, api.CaptureRate)}
	if o.Reasons, err = reasonsOf(q.Reasons); err != nil {
		return o, err
	}
	states, err := b.reader.Nodes()
	if err != nil {
		return o, err
	}
	configs := configsOf(states, nil, nil)
	if q.Config != "" {
		if o.Services, err = b.servicesOf(q.Config); err != nil {
			return o, err
		}
	}
	if q.Node != "" {
		node, err := api.FindNode((&api.Status{Configs: configs}).Nodes(), q.Node)
		if err != nil {
			return o, err
		}
		o.Nodes = nodesOf(states, node)
	}
	return o, nil
}

// nodesOf are the ids of a node, as many as a capture takes.
func nodesOf(states []maps.NodeState, node api.Node) []uint32 {
	var present, removed []uint32
	for _, s := range states {
		key := lb.ConfigKey{Balancer: s.Balancer, Port: s.VIP.Port, Protocol: s.VIP.Protocol}
		switch {
		case key.String() != node.Config || s.Address.String() != node.Address:
		case s.Status.Lifecycle == maps.Present:
			present = append(present, s.ID)
		default:
			removed = append(removed, s.ID)
		}
	}
	return foremost(present, removed)
}

// foremost leaves as many ids as a capture takes: those in use before those that wait for their last flows. What
// was taken away and came back again and again has more. Ids are given anew: they tell nothing of age.
func foremost(present, removed []uint32) []uint32 {
	ids := append(present, removed...)
	return ids[:min(len(ids), loader.CaptureIDs)]
}

// servicesOf are the ids of a config's services, one for each of its VIPs.
func (l looker) servicesOf(config string) ([]uint32, error) {
	services, err := l.reader.Services()
	if err != nil {
		return nil, err
	}
	var names []string
	var present, removed []uint32
	for _, s := range services {
		name := configOf(s).String()
		names = append(names, name)
		switch {
		case name != config:
		case s.Published:
			present = append(present, s.ID)
		default:
			removed = append(removed, s.ID)
		}
	}
	if len(present)+len(removed) == 0 {
		slices.Sort(names)
		return nil, api.NotFound("no config %s (have: %s)", config, strings.Join(slices.Compact(names), ", "))
	}
	return foremost(present, removed), nil
}

func configOf(s maps.ServiceState) lb.ConfigKey {
	return lb.ConfigKey{Balancer: s.Balancer, Port: s.VIP.Port, Protocol: s.VIP.Protocol}
}

// reasonsOf gives the numbers of reasons, and of all reasons of a fate.
func reasonsOf(words []string) (numbers []int, err error) {
	names, fates := loader.ReasonNames(), loader.ReasonFates()
	for _, w := range words {
		found := false
		for i := range names {
			if names[i] == w || fates[i] == w {
				numbers, found = append(numbers, i), true
			}
		}
		if !found {
			known := fates
			known = slices.Compact(slices.Sorted(slices.Values(known)))
			return nil, api.BadRequest("reason", "reason %s: no such reason or fate (have: %s; and %s)", w, strings.Join(known, ", "), strings.Join(names, ", "))
		}
	}
	return numbers, nil
}
