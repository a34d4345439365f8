package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
)

// Explain implements api.Look for a running daemon.
func (b *backend) Explain(ctx context.Context, q api.Question) (story api.Story, err error) {
	st, err := b.Status(ctx)
	if err != nil {
		return api.Story{}, err
	}
	err = b.d.stage.use(func(r *loader.Rehearsal) error {
		story, err = explain(b.looker, r, &st, q)
		return err
	})
	return story, err
}

// Explain implements api.Look.
func (p *Pinned) Explain(ctx context.Context, q api.Question) (api.Story, error) {
	st, err := p.Status(ctx)
	if err != nil {
		return api.Story{}, err
	}
	r, err := loader.NewRehearsal(p.maps)
	if err != nil {
		return api.Story{}, fmt.Errorf("explain: %w", err)
	}
	defer r.Close()
	return explain(p.looker, r, &st, q)
}

// Frames that can be tried out: no shorter than an Ethernet header, and of no more than a page, as the kernel
// takes them.
const (
	frameLeast = 14
	frameMost  = 3520
)

// explain tries a packet out and tells the story.
func explain(l looker, r *loader.Rehearsal, st *api.Status, q api.Question) (api.Story, error) {
	if n := len(q.Frame); n < frameLeast || n > frameMost {
		return api.Story{}, api.BadRequest("frame", "a frame of %d bytes: must have %d to %d, from its Ethernet header on", n, frameLeast, frameMost)
	}
	in, err := ingress(st, q.Interface)
	if err != nil {
		return api.Story{}, err
	}
	// A bucket that packets change just then is looked at again.
	for range rehearsalTries {
		out, err := r.Run(q.Frame, in.Index)
		if err != nil {
			return api.Story{}, fmt.Errorf("explain: %w", err)
		}
		if out.Reason != "table_busy" {
			return tell(l, st, in, q.Frame, out)
		}
	}
	return api.Story{}, errors.New("explain: the packet's part of the flow table is in too much of a turmoil: try again")
}

const rehearsalTries = 5

// ingress finds the interface that a packet is to come in by: the one that is named, or the first that the
// program is on.
func ingress(st *api.Status, name string) (api.Interface, error) {
	attached := slices.DeleteFunc(slices.Clone(st.Interfaces), func(i api.Interface) bool { return i.Mode == "" })
	if name == "" {
		if len(attached) == 0 {
			return api.Interface{}, errors.New("explain: the program is on no interface: name one that the packet comes in by")
		}
		return attached[0], nil
	}
	if i := slices.IndexFunc(attached, func(i api.Interface) bool { return i.Name == name }); i >= 0 {
		return attached[i], nil
	}
	link, err := netdev.LinkByName(name)
	if err != nil {
		return api.Interface{}, api.BadRequest("interface", "%v", err)
	}
	return api.Interface{Name: link.Name, Index: link.Index}, nil
}

// egress names the interface that a frame leaves by: the one that it came in by, or that has its source address.
func (l looker) egress(in api.Interface, verdict string, frame []byte) string {
	switch verdict {
	case "tx":
		return in.Name
	case "redirect":
	default:
		return ""
	}
	name := in.Name
	for i := range l.reader.Limits().Links {
		link, err := l.reader.ReadLink(i)
		tagged := link.Tags != (maps.Tags{}) // a VLAN interface, often with the MAC of the one below it
		if err != nil || link.IfIndex == 0 || !slices.Equal(link.MAC[:], frame[6:12]) || tagged && !link.Tags.Begin(frame) {
			continue
		}
		if found, err := net.InterfaceByIndex(link.IfIndex); err == nil {
			if name = found.Name; tagged || found.Index != in.Index {
				return name
			}
		}
	}
	return name
}
