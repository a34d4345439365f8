package loader_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/headgate/headgate/loader/dptest"
)

const (
	workers      = 4
	halfOpenTime = 11 * time.Second
)

func TestCPUsThatOpenTheSameFlowEndWithOne(t *testing.T) {
	bed := dptest.Open(t, dptest.Options{Buckets4: 4096})
	fill(bed)
	const clients = 2000
	var frames [][]byte
	for i := range clients {
		frames = append(frames, syn4(fmt.Sprintf("198.51.100.%d", i%200), 40000+i/200))
	}
	before := bed.Counters()
	bed.Parallel(workers, func(int) func() []byte {
		i := -1
		return func() []byte {
			if i++; i == clients {
				return nil
			}
			return frames[i]
		}
	})
	after := bed.Counters()
	if n := len(bed.Flows()); n != clients {
		t.Errorf("%d flows, want %d", n, clients)
	}
	if n := after.Reasons["new_flow"] - before.Reasons["new_flow"]; n != clients {
		t.Errorf("%d times a new flow, want %d", n, clients)
	}
	if n := after.Stats[1].Flows - before.Stats[1].Flows; n != clients {
		t.Errorf("the node counts %d flows, want %d", n, clients)
	}
	if n := after.Reasons["table_busy"] - before.Reasons["table_busy"]; n > clients*workers/100 {
		t.Errorf("%d of %d packets met a bucket that stayed locked", n, clients*workers)
	}
	check(t, bed)
}
