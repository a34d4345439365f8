package maps

import (
	"runtime"
	"sync"
)

// chunkBuckets is how many buckets are read in one go: some thousand flows.
const chunkBuckets = 512

// inChunks calls read for every chunk of a table, on several processors, and hands what it returns to take,
// in order, until that returns false. No read goes on when it returns.
func inChunks[T any](buckets uint32, read func(first, last uint32) T, take func(T) bool) bool {
	var reads sync.WaitGroup
	defer reads.Wait()
	stop := make(chan struct{})
	defer close(stop)
	ahead := make(chan chan T, runtime.GOMAXPROCS(0)) // chunks that are read, the first of them first
	reads.Go(func() {
		defer close(ahead)
		for first := uint32(0); first < buckets; first += chunkBuckets {
			result := make(chan T, 1)
			select {
			case <-stop:
				return
			case ahead <- result:
			}
			last := min(first+chunkBuckets, buckets)
			reads.Go(func() { result <- read(first, last) })
		}
	})
	for result := range ahead {
		if !take(<-result) {
			return false
		}
	}
	return true
}
