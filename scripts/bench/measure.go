package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/cilium/ebpf"
)

// run sends n packets of a workload through a program, from the harness, and returns ns per packet.
func (b *bed) run(program *ebpf.Program, w benchWorkload, n uint32) (float64, error) {
	if err := b.harness.Maps["under_test"].Put(uint32(0), program); err != nil {
		return 0, fmt.Errorf("put a program under test: %w", err)
	}
	if err := b.harness.Maps["workloads"].Put(uint32(0), w); err != nil {
		return 0, fmt.Errorf("set the workload: %w", err)
	}
	options := ebpf.RunOptions{Data: make([]byte, 80), Repeat: n}
	start := time.Now()
	verdict, err := b.harness.Programs["harness"].Run(&options)
	elapsed := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("run the harness: %w", err)
	}
	if verdict == 0 {
		return 0, fmt.Errorf("the harness aborted")
	}
	return float64(elapsed.Nanoseconds()) / float64(n), nil
}

// exactly runs f and fails unless the reason's counter moved by n meanwhile: the figure would be void.
func (b *bed) exactly(reason string, n uint64, f func() error) error {
	before, err := b.count(reason)
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	after, err := b.count(reason)
	if err != nil {
		return err
	}
	if after-before != n {
		return fmt.Errorf("void: %d of %d packets met %s", after-before, n, reason)
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
