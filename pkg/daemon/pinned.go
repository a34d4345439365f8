package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
)

// rateGap is between the two readings that a dead daemon's rates are counted from.
const rateGap = 500 * time.Millisecond

// Pinned reads the pinned maps without a daemon. It implements api.Look.
type Pinned struct {
	looker
	dir    string
	tables *maps.Kernel
	maps   *loader.Maps
}

// OpenPinned opens the maps pinned in that directory, to be closed by the caller.
func OpenPinned(dir string) (*Pinned, error) {
	m, err := loader.OpenMaps(dir)
	if err != nil {
		return nil, err
	}
	tables, err := maps.NewKernel(m)
	if err != nil {
		loader.CloseMaps(m)
		return nil, err
	}
	return &Pinned{looker: newLooker(tables.Reader()), dir: dir, tables: tables, maps: m}, nil
}

// OpenPlace opens the maps of a running daemon, to be closed by the caller. It fails where they cannot be
// reached from here, as in a container with a bpf filesystem of its own.
func OpenPlace(place api.Place) (*Pinned, error) {
	p, err := OpenPinned(place.BPFFS)
	if err != nil {
		return nil, err
	}
	id, err := loader.MapID(p.maps)
	if err == nil && id != place.MapID {
		err = fmt.Errorf("what is pinned in %s here is not the daemon's", place.BPFFS)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close closes the maps; the pins stay.
func (p *Pinned) Close() error {
	defer loader.CloseMaps(p.maps)
	return p.tables.Close()
}

// Status implements api.Look: what was written last, with counts of now. It takes half a second,
// because rates need two readings.
func (p *Pinned) Status(ctx context.Context) (api.Status, error) {
	states, rate, err := p.measure(ctx)
	if err != nil {
		return api.Status{}, err
	}
	refused, err := p.refused()
	if err != nil {
		return api.Status{}, err
	}
	closings, removals, err := p.ends()
	if err != nil {
		return api.Status{}, err
	}
	info, err := loader.Pinned(p.dir)
	if err != nil {
		return api.Status{}, err
	}
	configs := configsOf(states, listed, rate)
	if err := errors.Join(p.countSticks(configs), p.countRefused(configs)); err != nil {
		return api.Status{}, err
	}
	st := api.Status{
		Source: api.FromMaps, BPFFS: p.dir, Interfaces: []api.Interface{},
		ActiveFlows: activeFlows(states), Balancers: balancersOf(configs), Configs: configs,
		Refused: refused, Closings: closings, Removals: removals, Warnings: []string{"no daemon runs: health is as last known, and nobody checks it, follows routes or applies changes"},
	}
	st.Interfaces = append(st.Interfaces, interfacesOf(info)...)
	if len(st.Interfaces) == 0 {
		st.Warnings = append(st.Warnings, "the program is attached to no interface")
	}
	st.Warnings = append(st.Warnings, p.detail(configs, states)...)
	return st, nil
}

// listed leaves out removed nodes whose last flow has ended.
func listed(s maps.NodeState) bool { return s.Status.Lifecycle == maps.Present || s.Active > 0 }

// measure reads the nodes twice.
func (p *Pinned) measure(ctx context.Context) ([]maps.NodeState, rater, error) {
	first, err := p.reader.Nodes()
	if err != nil {
		return nil, nil, err
	}
	var r rates
	r.add(take(time.Now(), first))
	gap := time.NewTimer(rateGap)
	defer gap.Stop()
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-gap.C:
	}
	states, err := p.reader.Nodes()
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	return states, func(n maps.NodeState) (flows, bytes *float64) { return r.since(now, n) }, nil
}

// Pins is what is pinned, of whatever layout.
type Pins struct {
	Layout     uint32          `json:"layout"`
	Program    string          `json:"program"` // its tag, as bpftool shows it; empty: attached to no interface
	Interfaces []api.Interface `json:"interfaces"`
}

// ReadPins says what is pinned in the directory. The error matches loader.ErrNotPinned when nothing is.
func ReadPins(dir string) (Pins, error) {
	info, err := loader.Pinned(dir)
	return Pins{Layout: info.Schema, Program: info.ProgramTag, Interfaces: interfacesOf(info)}, err
}

// interfacesOf are those that the program is attached to.
func interfacesOf(info loader.Info) []api.Interface {
	all := []api.Interface{}
	for _, a := range info.Attachments {
		all = append(all, api.Interface{Name: nameOf(a), Index: a.IfIndex, Mode: a.Mode})
	}
	return all
}

// nameOf is the name of the attachment's interface, if it is in this network namespace: another one
// may have an interface with the same index.
func nameOf(a loader.Attachment) string {
	if name, ok := netdev.XDPLinkName(a.IfIndex, a.ProgramID); ok {
		return name
	}
	return fmt.Sprintf("interface %d", a.IfIndex)
}
