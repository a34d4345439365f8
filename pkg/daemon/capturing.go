package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
)

// captureLook is how often a capture tells what it has missed, and learns the names of what is new.
const captureLook = time.Second

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
