package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/events"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// captureLook is how often a capture tells what it has missed, and learns the names of what is new.
const captureLook = time.Second

// Capture implements api.Captures. A goroutine of its own owns the capture: whoever asked may go away at any
// moment, and the plain program must come back.
func (b *backend) Capture(ctx context.Context, q api.CaptureQuery) (iter.Seq2[api.Captured, error], error) {
	options, err := b.captureOptions(q)
	if err != nil {
		return nil, err
	}
	capture, err := b.d.datapath.Capture(options)
	if errors.Is(err, loader.ErrCapturing) {
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
		c.run(ctx)
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
		for _, s := range states {
			key := lb.ConfigKey{Balancer: s.Balancer, Port: s.VIP.Port, Protocol: s.VIP.Protocol}
			if key.String() == node.Config && s.Address.String() == node.Address {
				o.Nodes = append(o.Nodes, s.ID)
			}
		}
		o.Nodes = latest(o.Nodes)
	}
	return o, nil
}

// latest leaves as many ids of a node as a capture takes: one that was taken away and came back again and again
// has more, while its flows last.
func latest(ids []uint32) []uint32 { return ids[max(0, len(ids)-loader.CaptureIDs):] }

// servicesOf are the ids of a config's services, one for each of its VIPs.
func (l looker) servicesOf(config string) (ids []uint32, err error) {
	services, err := l.reader.Services()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range services {
		name := configOf(s).String()
		names = append(names, name)
		if name == config {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		slices.Sort(names)
		return nil, api.NotFound("no config %s (have: %s)", config, strings.Join(slices.Compact(names), ", "))
	}
	return latest(ids), nil
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

// captured is what a capture hands on: a packet, or why it can go on no longer.
type captured struct {
	packet api.Captured
	err    error
}

// capturing is a capture at work.
type capturing struct {
	looker
	capture    *loader.Capture
	interfaces []api.Interface
	out        chan captured
	packets    int
	told       loader.CaptureLoss
	nodes      map[uint32]string // by id
	configs    map[uint32]string // by id of the service
}

// run hands packets on until the context ends, then puts the plain program back.
func (c *capturing) run(ctx context.Context) {
	err := c.handOn(ctx)
	if err = errors.Join(err, c.capture.Close()); err != nil {
		select {
		case c.out <- captured{err: err}:
		case <-ctx.Done():
		}
	}
}

func (c *capturing) handOn(ctx context.Context) error {
	look := time.Now()
	for ctx.Err() == nil {
		p, err := c.capture.Read(earlier(look, time.Now().Add(captureEnd)))
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if now := time.Now(); !now.Before(look) {
			look = now.Add(captureLook)
			if err := c.look(ctx); err != nil {
				return err
			}
		}
		if err == nil {
			c.packets++
			c.send(ctx, c.named(p))
		}
	}
	return nil
}

// captureEnd is how long it may take until a capture notices that nobody wants it any more.
const captureEnd = 100 * time.Millisecond

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (c *capturing) send(ctx context.Context, p api.Captured) {
	select {
	case c.out <- captured{packet: p}:
	case <-ctx.Done():
	}
}

// look learns names, and tells what was missed if that is news.
func (c *capturing) look(ctx context.Context) error {
	states, err := c.reader.Nodes()
	if err != nil {
		return err
	}
	services, err := c.reader.Services()
	if err != nil {
		return err
	}
	c.nodes, c.configs = map[uint32]string{}, map[uint32]string{}
	for _, s := range states {
		c.nodes[s.ID] = lb.NodeName(lb.ConfigKey{Balancer: s.Balancer, Port: s.VIP.Port, Protocol: s.VIP.Protocol}, s.Label)
	}
	for _, s := range services {
		c.configs[s.ID] = configOf(s).String()
	}
	loss, err := c.capture.Loss()
	if err == nil && loss != c.told {
		c.told = loss
		c.send(ctx, api.Captured{Skipped: loss.Skipped, Lost: loss.Lost})
	}
	return err
}

// named puts a packet into words.
func (c *capturing) named(p loader.CapturedPacket) api.Captured {
	in, verdict := c.interfaceOf(p.IfIndex), maps.Verdict(p.Verdict)
	out := api.Captured{
		In: frameOf(p.Came, in.Name), Verdict: verdict, Fate: loader.ReasonFates()[p.Reason], Reason: loader.ReasonNames()[p.Reason],
		Config: c.configs[p.Service], Skipped: c.told.Skipped, Lost: c.told.Lost,
	}
	out.Why = why(out.Reason)
	if p.Node != 0 {
		out.Node = nodeName(c.nodes, p.Node)
	}
	switch {
	case len(p.Left.Data) < frameLeast:
	case verdict == "tx" || verdict == "redirect":
		out.Out = frameOf(p.Left, c.egress(in, verdict, p.Left.Data))
	case verdict == "pass" && !bytes.Equal(p.Came.Data, p.Left.Data): // rewritten for the kernel to send on
		out.Out = frameOf(p.Left, in.Name)
	}
	return out
}

func frameOf(f loader.CapturedFrame, name string) *api.CapturedFrame {
	return &api.CapturedFrame{Time: f.At.UTC(), Interface: name, Length: f.Length, Data: f.Data}
}

// interfaceOf is the interface with that index, by its name if there is one.
func (c *capturing) interfaceOf(index int) api.Interface {
	for _, i := range c.interfaces {
		if i.Index == index {
			return i
		}
	}
	if i, err := net.InterfaceByIndex(index); err == nil {
		return api.Interface{Name: i.Name, Index: index}
	}
	return api.Interface{Name: fmt.Sprintf("interface %d", index), Index: index}
}
