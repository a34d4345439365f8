package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
)

// run sends n packets of a workload through a program, from the harness, and returns ns per packet.
func (b *bed) run(program *ebpf.Program, w benchWorkload, n uint32) (float64, error) {
	if err := b.harness.Maps["under_test"].Put(uint32(0), program); err != nil {
		return 0, fmt.Errorf("put a program under test: %w", err)
	}
	w.Packets, w.NextMark = n, w.Counter
	if err := b.harness.Maps["workloads"].Put(uint32(0), w); err != nil {
		return 0, fmt.Errorf("set the workload: %w", err)
	}
	verdict, err := b.harness.Programs["harness"].Run(&ebpf.RunOptions{Data: make([]byte, frameBytes), Repeat: n})
	if err != nil {
		return 0, fmt.Errorf("run the harness: %w", err)
	}
	if verdict == 0 {
		return 0, fmt.Errorf("the harness aborted")
	}
	if err := b.harness.Maps["workloads"].Lookup(uint32(0), &w); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return float64(w.Ended-w.Started) / float64(max(n-1, 1)), nil
}

// exactly runs f and fails unless n packets met the reason meanwhile, and no other: the figure would
// be void.
func (b *bed) exactly(reason string, n uint64, f func() error) error {
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
	maps.DeleteFunc(after, func(_ string, moved uint64) bool { return moved == 0 })
	if after[reason] != n || len(after) != 1 {
		return fmt.Errorf("void: of %d packets, all should have met %s, but they met %v", n, reason, after)
	}
	return nil
}

// send runs packets of a workload through the program under test, all of which must meet the reason.
func (b *bed) send(w benchWorkload, n uint32, reason string) (ns float64, err error) {
	err = b.exactly(reason, uint64(n), func() error {
		ns, err = b.run(b.program.Programs["headgate"], w, n)
		return err
	})
	return ns, err
}

// samples are the figures of the rounds of one case.
type samples []float64

func (s samples) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

func (s samples) least() float64 { return slices.Min(s) }
