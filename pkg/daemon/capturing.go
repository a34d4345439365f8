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

// captureLook is how often a capture learns the names of what is new.
const captureLook = time.Second

// captured is what a capture hands on: a packet, or why it can go on no longer.
type captured struct {
	packet api.Captured
	err    error
}

// packetSource is a capture of the loader.
type packetSource interface {
	Read(deadline time.Time) (loader.CapturedPacket, error)
	Loss() (loader.CaptureLoss, error)
}

// capturing is a capture at work.
type capturing struct {
	looker
	capture    packetSource
	interfaces []api.Interface
	out        chan captured
	packets    int
	missed     loader.CaptureLoss // as it was told last
	nodes      map[uint32]string  // by id
	configs    map[uint32]string  // by id of the service
}

// run hands packets on until the context ends, tells what was missed by then, and calls end, which puts the plain
// program back.
func (c *capturing) run(ctx context.Context, end func() error) {
	err := c.handOn(ctx)
	news, _ := c.takeLoss() // else what was told before stands
	if err = errors.Join(err, end()); news {
		c.sendLast(captured{packet: c.account()})
	}
	if err != nil {
		c.sendLast(captured{err: err})
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
			if err := c.look(); err != nil {
				return err
			}
		}
		news, lossErr := c.takeLoss()
		switch {
		case lossErr != nil:
			return lossErr
		case err == nil:
			c.packets++
			c.send(ctx, c.named(p))
		case news:
			c.send(ctx, c.account())
		}
	}
	return nil
}

// takeLoss learns what was missed so far, and whether that is news.
func (c *capturing) takeLoss() (news bool, err error) {
	loss, err := c.capture.Loss()
	if err != nil {
		return false, err
	}
	news, c.missed = loss != c.missed, loss
	return news, nil
}

// account tells what was missed, without a packet.
func (c *capturing) account() api.Captured {
	return api.Captured{Skipped: c.missed.Skipped, Lost: c.missed.Lost}
}

// captureEnd is how long it may take until a capture notices that nobody wants it any more, or tells what it has missed.
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

// sendLast sends what comes after the end of the context, to whoever may still be there.
func (c *capturing) sendLast(last captured) {
	select {
	case c.out <- last:
	case <-time.After(captureEnd):
	}
}

// look learns names.
func (c *capturing) look() error {
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
	return nil
}

// named puts a packet into words.
func (c *capturing) named(p loader.CapturedPacket) api.Captured {
	in, verdict := c.interfaceOf(p.IfIndex), maps.Verdict(p.Verdict)
	out := api.Captured{
		In: frameOf(p.Came, in.Name), Verdict: verdict, Fate: loader.ReasonFates()[p.Reason], Reason: loader.ReasonNames()[p.Reason],
		Config: c.configs[p.Service], Skipped: c.missed.Skipped, Lost: c.missed.Lost,
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
