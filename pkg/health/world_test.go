package health

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

// world is nodes that answer as they are told, in the fake time of a bubble.
type world struct {
	mu     sync.Mutex
	down   map[netip.AddrPort]error
	takes  map[netip.AddrPort]time.Duration // a check lasts so long, or until its timeout
	starts map[netip.AddrPort][]time.Time
	flying map[netip.AddrPort]int
	most   map[netip.AddrPort]int // flying at a time
	all    int                    // flying, all together
	top    int
	// forgetful keeps no account of starts.
	forgetful bool
}

func newWorld() *world {
	return &world{
		down: map[netip.AddrPort]error{}, takes: map[netip.AddrPort]time.Duration{}, starts: map[netip.AddrPort][]time.Time{},
		flying: map[netip.AddrPort]int{}, most: map[netip.AddrPort]int{},
	}
}

func (w *world) check(ctx context.Context, to netip.AddrPort, _ lb.Check) error {
	w.mu.Lock()
	if !w.forgetful {
		w.starts[to] = append(w.starts[to], time.Now())
	}
	w.flying[to]++
	w.most[to] = max(w.most[to], w.flying[to])
	w.all++
	w.top = max(w.top, w.all)
	takes, err := w.takes[to], w.down[to]
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.flying[to]--
		w.all--
	}()
	select {
	case <-time.After(takes):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) set(to netip.AddrPort, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down[to] = err
}

func (w *world) slow(to netip.AddrPort, takes time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takes[to] = takes
}

func (w *world) checks(to netip.AddrPort) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.starts[to]...)
}

// now is how many checks of a node run.
func (w *world) now(to netip.AddrPort) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flying[to]
}

// mostOf is how many checks of a node ran at a time.
func (w *world) mostOf(to netip.AddrPort) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most[to]
}

// peak is how many checks ran at a time since it was last asked.
func (w *world) peak() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	top := w.top
	w.top = w.all
	return top
}

var (
	errRefused = errors.New("connection refused")
	fiveSec    = lb.Check{Type: lb.CheckConnection, Interval: 5 * time.Second, Timeout: 2 * time.Second, Attempts: 3, Rise: 1}
)

func node(i int) lb.NodeKey {
	addr := netip.AddrFrom4([4]byte{10, 7, byte(i / 256), byte(i)})
	return lb.NodeKey{Config: lb.ConfigKey{Balancer: "web", Port: 80, Protocol: lb.TCP}, Address: netip.AddrPortFrom(addr, 8080)}
}

func target(i int, check lb.Check) Target { return Target{Key: node(i), Check: &check} }

// story runs f beside a running Manager, in fake time.
func story(t *testing.T, opts Options, f func(w *world, m *Manager)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		m, stop := w.run(t, opts)
		f(w, m)
		stop()
		if w.peak(); w.peak() != 0 {
			t.Error("checks outlived Run")
		}
	})
}

// run starts a Manager that checks this world; stop ends it.
func (w *world) run(t *testing.T, opts Options) (m *Manager, stop func()) {
	opts.Check = w.check
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	m = New(opts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	return m, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// pass lets fake time pass, and everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d) // of the bubble: nobody waits
	synctest.Wait()
}

func (m *Manager) expect(t *testing.T, key lb.NodeKey, want lb.Health) {
	t.Helper()
	if r, _ := m.Result(key); r.Health != want {
		t.Errorf("%s is %s (%s), want %s", key.Address, r.Health, r.Reason, want)
	}
}
