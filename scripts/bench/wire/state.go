package main

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"

	"github.com/headgate/headgate/loader"
)

// state is what a subject remembers of flows, and how it tells that it did with packets what a row intends.
type state interface {
	// begin has the subject serve; end undoes that.
	begin(b *bed) error
	end(b *bed) error
	// forget ends all flows.
	forget(b *bed) error
	// during runs f and fails, because a figure would be void, unless the packets that f sends are what they should be.
	during(b *bed, want packets, f func() error) error
}

// packets are how many meet which fate.
type packets struct{ opening, answered, following uint64 }

// errLeftOut is why a row cannot be measured on this machine.
var errLeftOut = errors.New("left out")

// stateless is the state of who has none.
type stateless struct{}

func (stateless) begin(*bed) error                               { return nil }
func (stateless) end(*bed) error                                 { return nil }
func (stateless) forget(*bed) error                              { return nil }
func (stateless) during(_ *bed, _ packets, f func() error) error { return f() }

// reasons is Headgate's: its tables, and its counters by reason.
type reasons struct{ stateless }

// forget empties the flow table and the nodes' counters, which nobody else writes while no daemon runs.
func (reasons) forget(b *bed) error {
	for _, m := range []*ebpf.Map{b.tables.Flows4, b.tables.NodesLive} {
		memory, err := m.Memory()
		if err != nil {
			return fmt.Errorf("clear %v: %w", m, err)
		}
		zero, size := make([]byte, 1<<20), int(memory.Size())
		for at := 0; at < size; at += len(zero) {
			if _, err := memory.WriteAt(zero[:min(len(zero), size-at)], int64(at)); err != nil {
				return fmt.Errorf("clear %v: %w", m, err)
			}
		}
	}
	return nil
}

func (reasons) during(b *bed, want packets, f func() error) error {
	before, err := b.counts()
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	after, err := b.counts()
	if err != nil {
		return err
	}
	for name := range after {
		after[name] -= before[name]
	}
	none := func(_ string, n uint64) bool { return n == 0 }
	maps.DeleteFunc(after, none)
	wanted := map[string]uint64{"new_flow": want.opening, "replied": want.answered, "forwarded": want.following}
	maps.DeleteFunc(wanted, none)
	if !maps.Equal(after, wanted) {
		return fmt.Errorf("void: packets should have met %v, but met %v", wanted, after)
	}
	return nil
}

// counts is how many packets met each reason so far, but for those that are left to the kernel, such as its own ARP.
func (b *bed) counts() (map[string]uint64, error) {
	var perCPU []loader.Reasons
	if err := b.tables.Reasons.Lookup(uint32(0), &perCPU); err != nil {
		return nil, fmt.Errorf("read the counters: %w", err)
	}
	total, fates := map[string]uint64{}, loader.ReasonFates()
	for i, name := range loader.ReasonNames() {
		if fates[i] == loader.Passed {
			continue
		}
		for _, c := range perCPU {
			total[name] += c.Packets[i]
		}
	}
	return total, nil
}
