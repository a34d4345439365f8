package netdev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// requestTimeout bounds one request to the kernel.
const requestTimeout = 5 * time.Second

// timing is how often the Resolver does by itself what no event asks for.
type timing struct {
	retry   time.Duration // at most so often an unresolved neighbour is asked for
	refresh time.Duration // a resolved one is validated so often, ±20 %
	reread  time.Duration // everything is read anew, whatever was told
}

// The kernel does not see the packets that XDP forwards, so it lets neighbours go stale; half a minute
// is what its own confirmations last (base_reachable_time), and half of what its garbage collection grants.
var defaultTiming = timing{retry: time.Second, refresh: 30 * time.Second, reread: 5 * time.Minute}

// Resolver keeps the way to every target resolved and follows the network's changes. Its methods may
// be called from any goroutine.
type Resolver struct {
	log    *slog.Logger
	timing timing
	handle *netlink.Handle
	neigh  *neighSocket
	sub    *nl.NetlinkSocket

	mu    sync.Mutex
	moved map[netip.Addr]bool // targets that came (true) and went since Run looked
	begun bool                // Run was called, or Close

	kick      chan struct{} // something has moved
	changes   chan struct{}
	published atomic.Pointer[snapshot]
}

// snapshot is what the outside sees. It is never changed once published.
type snapshot struct {
	hops  Hops
	links []Link
}

// New opens a Resolver in the network namespace of the calling thread, which it serves from then on,
// whatever thread calls it. Links are known at once, hops when Run runs. The caller runs it, or closes it.
func New(log *slog.Logger) (*Resolver, error) { return open(log, defaultTiming, watchBuffer) }

func open(log *slog.Logger, t timing, buffer int) (_ *Resolver, err error) {
	r := &Resolver{
		log:     log,
		timing:  t,
		kick:    make(chan struct{}, 1),
		changes: make(chan struct{}, 1),
	}
	defer func() {
		if err != nil {
			r.closeSockets()
		}
	}()
	// First the subscription, then the reading, so that no change falls between them.
	if r.sub, err = subscribe(buffer); err != nil {
		return nil, err
	}
	if r.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err = r.handle.SetSocketTimeout(requestTimeout); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if r.neigh, err = openNeighSocket(); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	links, err := readLinks(r.handle)
	if err != nil {
		return nil, err
	}
	r.published.Store(&snapshot{links: sortedLinks(links)})
	return r, nil
}

// Close frees a Resolver that was never run. Run closes by itself.
func (r *Resolver) Close() error {
	if r.begin() {
		r.closeSockets()
	}
	return nil
}

// begin reports whether the caller is the one who may use the sockets, once.
func (r *Resolver) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.begun
	r.begun = true
	return first
}

func (r *Resolver) closeSockets() {
	if r.sub != nil {
		r.sub.Close()
	}
	if r.handle != nil {
		r.handle.Close()
	}
	if r.neigh != nil {
		r.neigh.close()
	}
}

// MoveTargets adds to the addresses to keep resolved, and takes others out. It does not wait for them. With
// thousands of targets a change costs those that it is about.
func (r *Resolver) MoveTargets(came, gone []netip.Addr) {
	r.mu.Lock()
	if r.moved == nil {
		r.moved = map[netip.Addr]bool{}
	}
	for _, a := range came {
		r.moved[a] = true
	}
	for _, a := range gone {
		r.moved[a] = false
	}
	r.mu.Unlock()
	signal(r.kick)
}

// takeMoved gives what has moved since the last time.
func (r *Resolver) takeMoved() map[netip.Addr]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := r.moved
	r.moved = nil
	return moved
}

// Changes has an element when Hops or Links differ from what they were when the last one was taken.
func (r *Resolver) Changes() <-chan struct{} { return r.changes }

// Hops is the way to every target that has been looked at, resolved or not.
func (r *Resolver) Hops() Hops { return r.published.Load().hops }

// Links is all links of the namespace in the order of their index. The list is a snapshot that belongs
// to everybody: do not change it.
func (r *Resolver) Links() []Link { return r.published.Load().links }

func (r *Resolver) publish(hops Hops, links []Link) {
	r.published.Store(&snapshot{hops: hops, links: links})
	signal(r.changes)
}

// signal says "something is new" to a channel of capacity 1, once is enough.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// errRunTwice is what a second Run returns.
var errRunTwice = errors.New("resolver was run or closed before")

// Run follows the network until ctx ends, then returns nil. It returns an error when the kernel's
// notifications end otherwise; hops are not kept current then. It can be called once.
func (r *Resolver) Run(ctx context.Context) error {
	if !r.begin() {
		return errRunTwice
	}
	defer r.closeSockets()
	events, failed := make(chan event, 64), make(chan error, 1)
	go watch(r.sub, events, failed)
	defer func() {
		r.sub.Close()
		for range events { // until the watcher is gone
		}
	}()
	w := newWorld(r)
	retry := time.NewTicker(r.timing.retry)
	defer retry.Stop()
	reread := time.NewTicker(r.timing.reread)
	defer reread.Stop()
	defer w.wake.Stop()
	for {
		w.settle()
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("follow network changes: %w", err)
		case e := <-events:
			w.note(e)
			w.noteWaiting(events)
		case <-r.kick:
			w.retarget(r.takeMoved())
		case <-w.wake.C:
		case <-retry.C:
			w.retry()
		case <-reread.C:
			w.stale.everything()
		}
	}
}
