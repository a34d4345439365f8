package main

import (
	"errors"
	"fmt"
	"runtime"
	"structs"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	liveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
	batchMost  = 256    // frames of a batch: as many as a veth's ring holds
	// batchAnswered leaves room in the rings for the answers.
	batchAnswered = 64
	settleWithin  = 100 * time.Millisecond
)

// xdpMD is struct xdp_md.
type xdpMD struct {
	_                               structs.HostLayout
	Data, DataEnd, DataMeta         uint32
	IngressIfindex, RxQueue, Egress uint32
}

// shot is what came of packets that were sent.
type shot struct {
	sent, arrived uint64
	took          time.Duration // from the first that was sent to the last
	frame         []byte        // one that arrived; nil: none did
}

// send has each of these CPUs send its stream to a program, all at the same time, and counts what arrives for the port
// at the sink, which with answer sends it back.
func (b *bed) send(program *ebpf.Program, streams map[int]wireStream, port uint16, answer bool) (shot, error) {
	if err := b.tools.Maps["under_test"].Put(uint32(0), program); err != nil {
		return shot{}, fmt.Errorf("put a program under test: %w", err)
	}
	if err := b.expect(port, answer); err != nil {
		return shot{}, err
	}
	perCPU := make([]wireStream, ebpf.MustPossibleCPU())
	for cpu, s := range streams {
		perCPU[cpu] = s
	}
	if err := b.tools.Maps["streams"].Put(uint32(0), perCPU); err != nil {
		return shot{}, fmt.Errorf("set what is sent: %w", err)
	}
	batch := uint32(batchMost)
	if answer {
		batch = batchAnswered
	}
	results := make(chan error, len(streams))
	for cpu, s := range streams {
		go func() { results <- b.inject(cpu, s.Packets, batch) }()
	}
	var err error
	for range streams {
		err = errors.Join(err, <-results)
	}
	if err != nil {
		return shot{}, err
	}
	return b.result(streams)
}

// inject runs live frames on a CPU; they come in by the balancer's interface towards the client, on a queue of their own.
func (b *bed) inject(cpu int, packets, batch uint32) error {
	return b.balancer.Do(func() error {
		runtime.LockOSThread() // a second time: so the thread ends afterwards, and with it what it was pinned to
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin to CPU %d: %w", cpu, err)
		}
		_, err := b.tools.Programs["generator"].Run(&ebpf.RunOptions{
			Data: make([]byte, frameBytes), Repeat: packets, Flags: liveFrames, BatchSize: batch,
			Context: &xdpMD{DataEnd: frameBytes, IngressIfindex: uint32(b.in), RxQueue: uint32(cpu % queues)},
		})
		if err != nil {
			return fmt.Errorf("inject %d frames on CPU %d: %w", packets, cpu, err)
		}
		return nil
	})
}

// expect clears what the sink has counted.
func (b *bed) expect(port uint16, answer bool) error {
	perCPU := make([]wireArrivals, ebpf.MustPossibleCPU())
	for i := range perCPU {
		perCPU[i].Port = networkOrder(port)
		if answer {
			perCPU[i].Answer = 1
		}
	}
	if err := b.tools.Maps["arrived"].Put(uint32(0), perCPU); err != nil {
		return fmt.Errorf("clear the sink: %w", err)
	}
	return nil
}

// result reads clocks and counts, when all has arrived or nothing more comes.
func (b *bed) result(streams map[int]wireStream) (s shot, err error) {
	var perCPU []wireStream
	if err := b.tools.Maps["streams"].Lookup(uint32(0), &perCPU); err != nil {
		return s, fmt.Errorf("read the clocks: %w", err)
	}
	var first, last uint64
	for cpu, want := range streams {
		got := perCPU[cpu]
		if got.Count != uint64(want.Packets) {
			return s, fmt.Errorf("void: on CPU %d %d packets were made, not %d", cpu, got.Count, want.Packets)
		}
		if first == 0 || got.Started < first {
			first = got.Started
		}
		last = max(last, got.Ended)
		s.sent += got.Count
	}
	s.took = time.Duration(last - first)
	for deadline := time.Now().Add(settleWithin); ; time.Sleep(time.Millisecond) {
		if err := b.arrivals(&s); err != nil || s.arrived == s.sent || time.Now().After(deadline) {
			return s, err
		}
	}
}

// arrivals reads the sink.
func (b *bed) arrivals(s *shot) error {
	var perCPU []wireArrivals
	if err := b.tools.Maps["arrived"].Lookup(uint32(0), &perCPU); err != nil {
		return fmt.Errorf("read the sink: %w", err)
	}
	s.arrived = 0
	for _, a := range perCPU {
		if a.Captured != 0 {
			s.frame = a.Frame[:]
		}
		if a.Others != 0 {
			return fmt.Errorf("void: %d frames arrived for another port than was intended", a.Others)
		}
		s.arrived += a.Frames
	}
	return nil
}
