package loader

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
)

// sweepChunk is how many buckets one run of the sweep visits: it holds off this CPU's packets for so
// long, some tens of microseconds.
const sweepChunk = 1024

// sweepFrame is struct sweep_frame of bpf/abi.h: request and answer.
type sweepFrame struct {
	Family, First, Count, Removed uint32
	Jiffies                       uint64
}

// runSweep runs the sweep program once.
func runSweep(program *ebpf.Program, f sweepFrame) (sweepFrame, error) {
	var frame bytes.Buffer
	binary.Write(&frame, binary.NativeEndian, f) // a buffer takes everything
	options := ebpf.RunOptions{Data: frame.Bytes(), DataOut: make([]byte, frame.Len()), Repeat: 1}
	verdict, err := program.Run(&options)
	if err != nil {
		return f, fmt.Errorf("run the sweep: %w", err)
	}
	if verdict != 0 {
		return f, fmt.Errorf("run the sweep: it refuses a frame of %d bytes", frame.Len())
	}
	if err := binary.Read(bytes.NewReader(options.DataOut), binary.NativeEndian, &f); err != nil {
		return f, fmt.Errorf("read the sweep's answer: %w", err)
	}
	return f, nil
}

// Sweep closes the flows that have expired in `count` buckets from `first` on of a family's table (4
// or 6), running round at its end. It returns how many flows it closed.
func (d *Datapath) Sweep(family int, first, count uint32) (removed uint32, err error) {
	for count > 0 {
		n := min(count, sweepChunk)
		answer, err := runSweep(d.coll.Programs["sweep"], sweepFrame{Family: uint32(family), First: first, Count: n})
		if err != nil {
			return removed, err
		}
		removed += answer.Removed
		first, count = first+n, count-n
	}
	return removed, nil
}
