package announce

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/headgate/headgate/pkg/packet"
)

// lan is a network that hosts are on. What one sends all others get.
type lan struct {
	mu    sync.Mutex
	hosts []*host
	seen  []packet.Packet // all frames, in order
}

// host is an Announcer with a data path: it answers for what is held before the Announcer hears of it.
type host struct {
	*Announcer
	lan    *lan
	mac    [6]byte
	in     chan []byte
	gone   chan struct{}
	groups []netip.Addr
	mu     sync.Mutex
	told   []Happening
	dead   atomic.Bool // sends and receives nothing
	broken error
}

func (l *lan) host(t *testing.T, number byte) *host {
	h := &host{lan: l, mac: [6]byte{2, 0, 0, 0, 0, number}, in: make(chan []byte, 100)}
	h.Announcer = New(Options{
		Open: func(int) (Port, error) {
			if h.broken != nil {
				return nil, h.broken
			}
			h.gone = make(chan struct{})
			return h, nil
		},
		Join: func(_ int, group netip.Addr) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.groups = append(h.groups, group)
			return nil
		},
		Leave: func(_ int, group netip.Addr) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.groups = slices.DeleteFunc(h.groups, func(g netip.Addr) bool { return g == group })
			return nil
		},
		Report: func(happened Happening) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, happened)
		},
		Log: slog.New(slog.DiscardHandler),
	})
	l.hosts = append(l.hosts, h)
	go func() {
		if err := h.Run(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	return h
}

func (h *host) Send(frame []byte) error {
	if h.dead.Load() {
		return errors.New("network is down")
	}
	h.lan.send(h, frame)
	return nil
}

func (l *lan) send(from *host, frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, packet.Decode(frame))
	for _, h := range l.hosts {
		if h == from || h.dead.Load() {
			continue
		}
		if answer := h.answer(frame); answer != nil {
			l.seen = append(l.seen, packet.Decode(answer))
			from.in <- answer
			continue
		}
		if h.gone != nil {
			h.in <- frame
		}
	}
}

// answer is what the data path says to who asks for what is held.
func (h *host) answer(frame []byte) []byte {
	said, ok := read(frame)
	if !ok || !said.probe || !h.Held()[Key{said.addr, 2}] {
		return nil
	}
	reply, _ := announcement(Address{Addr: said.addr, MAC: h.mac}).Encode()
	return reply
}

func (h *host) Receive() ([]byte, error) {
	select {
	case b := <-h.in:
		return b, nil
	case <-h.gone:
		return nil, io.EOF
	}
}

func (h *host) Close() error {
	close(h.gone)
	return nil
}

// wants has the host hold addresses on its only link.
func (h *host) wants(up bool, addrs ...string) {
	var all []Address
	for _, a := range addrs {
		all = append(all, h.address(a, up))
	}
	h.Set(all, [][6]byte{h.mac})
	synctest.Wait()
}

func (h *host) address(addr string, up bool) Address {
	return Address{Addr: netip.MustParseAddr(addr), Link: 2, Name: "eth0", MAC: h.mac, Up: up}
}

func (h *host) joined() []netip.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.groups)
}

func (h *host) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.groups = nil
}

func (h *host) holds(addr string) bool { return h.Held()[Key{netip.MustParseAddr(addr), 2}] }

// whats are the kinds of what was reported since the last time.
func (h *host) whats() (out []What) {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.told {
		out = append(out, t.What)
	}
	h.told = nil
	return out
}

// frames are those that were sent since the last time, in words.
func (l *lan) frames() (out []string) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.seen {
		out = append(out, p[1:].String())
	}
	l.seen = nil
	return out
}
