package health

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// What a node with a full history costs.
func TestANodeTakesLittleMemory(t *testing.T) {
	const n, most = 1000, 4096 // bytes for each
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.forgetful = true
		check := lb.Check{Type: lb.CheckHTTP, Path: "/healthz", Interval: 5 * time.Second, Timeout: time.Second, Attempts: 3, Rise: 1}
		check.SetDefaults()
		before := heapNow()
		m, stop := w.run(t, Options{})
		targets := make([]Target, n)
		for i := range targets {
			targets[i] = target(i, check)
		}
		m.Set(targets)
		pass(6 * time.Minute)
		if h := m.History(node(n - 1)); len(h) != HistoryMost {
			t.Fatalf("%d checks remembered", len(h))
		}
		after := heapNow()
		if each := (after - before) / n; each > most {
			t.Errorf("%d bytes for each node, want at most %d", each, most)
		} else {
			t.Logf("%d bytes for each node", each)
		}
		runtime.KeepAlive(targets)
		stop()
	})
}

func heapNow() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
