package maps

import "github.com/headgate/headgate/loader"

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
