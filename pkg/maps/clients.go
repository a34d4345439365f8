package maps

import (
	"sync/atomic"

	"github.com/headgate/headgate/loader"
)

// ClientFill is how much of a table of clients is in use. When one is full the client that was seen least
// recently leaves it.
type ClientFill struct {
	Table   string // sticks or throttles
	Entries uint64 // there is room for
	Used    uint64 // those whose time is over among them
}

// Clients counts what is remembered of clients: some milliseconds for 100,000 entries.
func (r *Reader) Clients() ([]ClientFill, error) {
	sticks := ClientFill{Table: "sticks", Entries: uint64(r.sticksMax())}
	if err := r.eachStick(func(loader.StickKey, loader.StickEntry) bool { sticks.Used++; return true }); err != nil {
		return nil, err
	}
	throttles := ClientFill{Table: "throttles", Entries: uint64(r.throttlesMax())}
	if err := r.eachThrottle(func(loader.ThrottleKey, loader.ThrottleEntry) bool { throttles.Used++; return true }); err != nil {
		return nil, err
	}
	return []ClientFill{sticks, throttles}, nil
}

// LivingClients counts those alone that count for something: clients that stick to a node, and clients that have used
// up some of their rate. Where no config asks for either, it looks at nothing. 0.1 s for 262,144 entries.
func (r *Reader) LivingClients() ([]ClientFill, error) {
	sticks := ClientFill{Table: "sticks", Entries: uint64(r.sticksMax())}
	if err := r.eachLiving(func(loader.StickKey, Stick) bool { sticks.Used++; return true }); err != nil {
		return nil, err
	}
	throttles := ClientFill{Table: "throttles", Entries: uint64(r.throttlesMax())}
	if !r.any(func(w ServiceWord) bool { return w.Throttle }) {
		return []ClientFill{sticks, throttles}, nil
	}
	now := jiffies64At(&r.meta, r.clock()) << throttleTimeShift
	err := r.eachThrottle(func(_ loader.ThrottleKey, e loader.ThrottleEntry) bool {
		if int64(e.Until-now) > 0 {
			throttles.Used++
		}
		return true
	})
	return []ClientFill{sticks, throttles}, err
}

// any says whether one of the services has such a word.
func (r *Reader) any(is func(ServiceWord) bool) bool {
	for i := range r.services {
		if is(decodeServiceWord(atomic.LoadUint64(&r.services[i].Word))) {
			return true
		}
	}
	return false
}
