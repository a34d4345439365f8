package health

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"golang.org/x/sys/unix"
)

// Options are what a Manager may be told.
type Options struct {
	Log *slog.Logger // required
	// Source chooses the address that a node is checked from. nil, and an address that is not valid, leave it
	// to the kernel. It is called from many goroutines, and must be quick.
	Source func(dst netip.Addr) netip.Addr
	// Check replaces the real checks, for tests.
	Check CheckFunc
	// MaxInFlight bounds how many checks run at a time; 0 stands for as many as 10,000 nodes that do not answer
	// need, or half of the files that this process may open, if that is less. Checks beyond it are late, which Stats tells.
	MaxInFlight int
}

// Manager checks nodes. Its methods may be called from any goroutine.
type Manager struct {
	log     *slog.Logger
	prepare func(lb.Check) prober
	max     int

	mu      sync.Mutex
	wanted  []Target            // what Set said last, until Run has taken it
	hurried map[lb.NodeKey]bool // what Hurry said, until Run has taken it

	kick    chan struct{} // wanted or hurried is new
	changes chan struct{}
	nodes   atomic.Pointer[nodes] // never changed once stored
	meter   meter
}

// nodes are the probes of all targets.
type nodes struct {
	*roll
	probes []*probe // by the place of the target; several may share one
}

func (n *nodes) of(key lb.NodeKey) *probe {
	place, known := n.places[key]
	if !known {
		return nil
	}
	return n.probes[place]
}

// New makes a Manager that checks nothing until it runs and has targets.
func New(opts Options) *Manager {
	m := &Manager{
		log:     opts.Log,
		prepare: prepare(opts),
		max:     opts.MaxInFlight,
		kick:    make(chan struct{}, 1),
		changes: make(chan struct{}, 1),
	}
	if m.max == 0 {
		m.max = defaultMaxInFlight()
	}
	m.nodes.Store(&nodes{roll: newRoll(0)})
	return m
}

// prepare says how checks are prepared: the real ones, unless they are replaced.
func prepare(opts Options) func(lb.Check) prober {
	if opts.Check != nil {
		return func(c lb.Check) prober {
			return func(ctx context.Context, to netip.AddrPort) error { return opts.Check(ctx, to, c) }
		}
	}
	d := &dialer{source: opts.Source}
	return func(c lb.Check) prober { return newProber(d, c) }
}

func defaultMaxInFlight() int {
	const enough = 10_000
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 512 // half of the usual soft limit
	}
	return int(max(1, min(files.Cur/2, enough)))
}

// Set replaces all targets. Their keys are different ones. Those that are new begin Unknown, or as their
// Initial says, and are checked at once; those that are gone are not checked any more, and the result
// of a check in flight is dropped; those whose check changed keep what is known. A target whose check is
// none is left out. Set does not wait: Snapshot shows the new targets as soon as Run has taken them.
func (m *Manager) Set(targets []Target) {
	wanted := make([]Target, 0, len(targets))
	for _, t := range targets {
		if t.Check.Type != lb.CheckNone && t.Check.Type != "" {
			wanted = append(wanted, t)
		}
	}
	m.mu.Lock()
	m.wanted = wanted
	m.mu.Unlock()
	signal(m.kick)
}

// takeWanted gives what Set said last, once; false when that was taken already: two calls of Set may be taken
// with the first one's signal, and the second one's still comes.
func (m *Manager) takeWanted() ([]Target, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	targets := m.wanted
	m.wanted = nil
	return targets, targets != nil
}

// Changes has an element when the Health or the Reason of a target is not what it was when the last one
// was taken, or the set of targets is another.
func (m *Manager) Changes() <-chan struct{} { return m.changes }

// Snapshot is what is known about every target.
func (m *Manager) Snapshot() Results {
	n := m.nodes.Load()
	r := Results{targets: n.roll, found: make([]*machine, len(n.probes))}
	for place, p := range n.probes {
		r.found[place] = p.published.Load()
	}
	return r
}

// Result is what is known about one target; false when it is not one.
func (m *Manager) Result(key lb.NodeKey) (Result, bool) {
	p := m.nodes.Load().of(key)
	if p == nil {
		return Result{}, false
	}
	return p.published.Load().result(key), true
}

// History is the last 64 checks of a target, the oldest first. The list belongs to the caller.
func (m *Manager) History(key lb.NodeKey) []Attempt {
	p := m.nodes.Load().of(key)
	if p == nil {
		return nil
	}
	return p.history.list()
}

// Stats says how the Manager itself is doing.
func (m *Manager) Stats() Stats { return m.meter.read(time.Now()) }

// signal says "something is new" to a channel of capacity 1, once is enough.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
