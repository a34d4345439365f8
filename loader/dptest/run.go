package dptest

import (
	"encoding/binary"
	"fmt"
	"structs"

	"github.com/cilium/ebpf"
)

// Verdict is what the program tells the kernel to do with a frame.
type Verdict uint32

// Verdicts, as the kernel numbers them.
const (
	Aborted Verdict = iota
	Drop
	Pass
	Tx
	Redirect
)

// String returns the verdict in lower case.
func (v Verdict) String() string {
	if v > Redirect {
		return fmt.Sprintf("verdict %d", uint32(v))
	}
	return [...]string{"aborted", "drop", "pass", "tx", "redirect"}[v]
}

// xdpMD is struct xdp_md.
type xdpMD struct {
	_                               structs.HostLayout
	Data, DataEnd, DataMeta         uint32
	IngressIfindex, RxQueue, Egress uint32
}

// Run runs the program once on a copy of frame that arrives at an interface, Front or Back, and
// returns the verdict and the frame as it is then. The frame has at least 14 bytes: the kernel
// hands no shorter ones to XDP. Unless clean, the head-room holds what an earlier frame left there.
func (b *Bed) Run(ifindex int, frame []byte, clean bool) (Verdict, []byte) {
	program := b.entry
	if clean {
		program = b.coll.Programs["headgate"]
	}
	return b.RunBy(program, ifindex, frame)
}

// RunBy runs a frame through another program with the Bed's tables.
func (b *Bed) RunBy(program *ebpf.Program, ifindex int, frame []byte) (Verdict, []byte) {
	options := &ebpf.RunOptions{
		Data: frame, DataOut: make([]byte, len(frame)+512), Repeat: 1,
		Context: &xdpMD{DataEnd: uint32(len(frame)), IngressIfindex: uint32(ifindex)},
	}
	var verdict uint32
	var err error
	b.space.do(func() { verdict, err = program.Run(options) })
	if err != nil {
		panic(fmt.Sprintf("test run on %d bytes: %v", len(frame), err))
	}
	return Verdict(verdict), options.DataOut
}

// Sweep runs the sweep over buckets of a flow table and returns how many flows it closed.
func (b *Bed) Sweep(family int, first, count uint32) uint32 {
	frame := make([]byte, 24)
	binary.NativeEndian.PutUint32(frame, uint32(family))
	binary.NativeEndian.PutUint32(frame[4:], first)
	binary.NativeEndian.PutUint32(frame[8:], count)
	return binary.NativeEndian.Uint32(b.sweep(frame)[12:])
}

// sweep runs the sweep on a struct sweep_frame and returns that with its answer.
func (b *Bed) sweep(frame []byte) []byte {
	options := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)), Repeat: 1}
	verdict, err := b.coll.Programs["sweep"].Run(options)
	if err != nil || verdict != 0 || len(options.DataOut) != len(frame) {
		panic(fmt.Sprintf("sweep: returned %d and %d bytes: %v", verdict, len(options.DataOut), err))
	}
	return options.DataOut
}

// SweepAll closes every expired flow and returns how many there were.
func (b *Bed) SweepAll() uint32 {
	return b.Sweep(4, 0, b.options.Buckets4) + b.Sweep(6, 0, b.options.Buckets6)
}

// refill gives every CPU so many tokens for refusals.
func (b *Bed) refill(tokens uint64) {
	type bucket struct {
		_              structs.HostLayout
		Tokens, Filled uint64
	}
	now := b.jiffies()
	values := make([]bucket, ebpf.MustPossibleCPU())
	for i := range values {
		values[i] = bucket{Tokens: tokens, Filled: now}
	}
	must(b.coll.Maps["refusals"].Update(uint32(0), values, ebpf.UpdateAny))
}

// Jiffies is what time the program takes it to be, in ticks of the kernel's own clock.
func (b *Bed) Jiffies() uint64 { return b.jiffies() }

// jiffies asks the kernel what time the program takes it to be.
func (b *Bed) jiffies() uint64 {
	return binary.NativeEndian.Uint64(b.sweep(make([]byte, 24))[16:])
}
