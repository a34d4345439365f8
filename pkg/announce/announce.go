// Package announce claims addresses on the networks that the host is on: it finds out whether they are free, tells
// that they are here, and looks whether others use them. For IPv4 it does as RFC 5227 has it, and the same over
// IPv6 with the messages of RFC 4861 and 4862. Who asks for an address that is held is answered by the data path.
package announce

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Address is one that is to be held, and the link on whose network.
type Address struct {
	Addr   netip.Addr
	Link   int    // index
	Name   string // of the link
	MAC    [6]byte
	Up     bool // the link is
	Answer bool // it is answered for already, by a data path that was taken over: it is held without a probe
}

// Key is what makes an Address another one.
type Key struct {
	Addr netip.Addr
	Link int
}

func (a *Address) key() Key { return Key{a.Addr, a.Link} }

// Happening is something that people should know of.
type Happening struct {
	Address
	What  What
	Other [6]byte // of the host that uses the address, too
}

// What is the kind of a Happening.
type What int

// Whats: an address is held now; another host was seen to use one that is held, and it was defended; one was left
// to the host that uses it.
const (
	Held What = iota
	Defended
	Left
)

// String says it in words.
func (h Happening) String() string {
	switch h.What {
	case Held:
		return fmt.Sprintf("%s is announced on %s", h.Addr, h.Name)
	case Defended:
		return fmt.Sprintf("%s is announced on %s, but %s uses it, too: it was told that it is ours", h.Addr, h.Name, net.HardwareAddr(h.Other[:]))
	}
	return fmt.Sprintf("%s is not announced on %s: %s uses it; looked at again every %v", h.Addr, h.Name, net.HardwareAddr(h.Other[:]), retryAfter)
}

// Times of RFC 5227. Probes come faster than there: on a link that is up hosts answer at once, and a balancer that
// waits for seconds is one that is down.
const (
	probes         = 3
	probeEvery     = 200 * time.Millisecond
	announcements  = 3
	announceEvery  = 2 * time.Second
	defendInterval = 10 * time.Second // a second conflict within it, and the address is left
	retryAfter     = 10 * time.Second // from when an address was left to the next probe
)

// Port is a socket for the frames of one link.
type Port interface {
	Send(frame []byte) error
	Receive() ([]byte, error) // an error ends it
	Close() error
}

// Options are what an Announcer works with.
type Options struct {
	Open   func(link int) (Port, error)           // opens the socket of a link
	Join   func(link int, group netip.Addr) error // takes part in a multicast group, until Leave
	Leave  func(link int, group netip.Addr) error
	Report func(Happening) // is called for each; must not wait
	Log    *slog.Logger    // nil: slog.Default
}

// Announcer holds addresses. Its methods may be called concurrently; Run does the work.
type Announcer struct {
	o       Options
	changed chan struct{}
	wake    chan struct{}
	frames  chan incoming

	mu       sync.Mutex
	running  bool
	wanted   []Address
	own      [][6]byte
	held     map[Key]bool
	warnings []string
}

type incoming struct {
	link  int
	frame []byte
}

// New makes an Announcer that holds nothing. Nothing happens before Run.
func New(o Options) *Announcer {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Announcer{o: o, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1), frames: make(chan incoming), held: map[Key]bool{}}
}

// Set replaces the addresses that are to be held; before Run, those that are answered for already count as held.
// own are the MACs of this host, which are in no conflict.
func (a *Announcer) Set(wanted []Address, own [][6]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Equal(wanted, a.wanted) && slices.Equal(own, a.own) {
		return
	}
	a.wanted, a.own = slices.Clone(wanted), slices.Clone(own)
	poke(a.wake)
	if a.running {
		return
	}
	clear(a.held)
	for _, w := range wanted {
		if w.Answer {
			a.held[w.key()] = true
		}
	}
}

// Held returns the addresses that may be answered for.
func (a *Announcer) Held() map[Key]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	held := make(map[Key]bool, len(a.held))
	for key := range a.held {
		held[key] = true
	}
	return held
}

// Changes gets a value when Held has changed.
func (a *Announcer) Changes() <-chan struct{} { return a.changed }

// Warnings are what people should know of, in the order of the addresses.
func (a *Announcer) Warnings() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.warnings)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run claims and defends until the context ends. What is held stays held: the data path goes on answering.
func (a *Announcer) Run(ctx context.Context) error {
	w := &work{Announcer: a, claims: map[Key]*claim{}, ports: map[int]*port{}, ctx: ctx}
	defer w.close()
	a.mu.Lock()
	a.running = true
	a.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
			w.take()
		case in := <-a.frames:
			if !w.hear(in) {
				continue
			}
		case <-timer.C:
		}
		next := w.step(time.Now())
		w.publish()
		timer.Reset(next)
	}
}

// jitter is about d, ±20 %: two hosts that collided do not do so again for ever.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
