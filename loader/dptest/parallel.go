package dptest

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"
)

// Loopback is the interface that packets of Parallel arrive at.
const Loopback = 1

// Parallel runs frames on several threads at once, as a card with several queues would: each worker
// runs all that its next returns until that is nil. It returns how often each verdict came out.
func (b *Bed) Parallel(workers int, next func(worker int) func() []byte) map[Verdict]int {
	var wait sync.WaitGroup
	results := make([]map[Verdict]int, workers)
	for n := range workers {
		frames := next(n)
		wait.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			results[n] = b.runAll(frames)
		})
	}
	wait.Wait()
	sum := map[Verdict]int{}
	for _, result := range results {
		for verdict, count := range result {
			sum[verdict] += count
		}
	}
	return sum
}

func (b *Bed) runAll(frames func() []byte) map[Verdict]int {
	count := map[Verdict]int{}
	program := b.coll.Programs["headgate"]
	for frame := frames(); frame != nil; frame = frames() {
		verdict, err := program.Run(&ebpf.RunOptions{Data: frame, Repeat: 1})
		if err != nil {
			panic(fmt.Sprintf("test run on %d bytes: %v", len(frame), err))
		}
		count[Verdict(verdict)]++
	}
	return count
}
